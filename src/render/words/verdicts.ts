import type { Report } from '../../model/report.js'

const small = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']

/** The verdict; of a refusal also what the same run had done before it. */
export function verdictWords({ verdict, steps, findings }: Report): string {
  if (verdict !== 'refused') return verdict
  const n = steps.filter(s => s.outcome === 'done' || s.outcome === 'rolled-back').length
  if (n > 0)
    return `refused: ${small[n] ?? n} step${n === 1 ? '' : 's'} finished before; this step changed nothing`
  // the quarantine is changed before its backfills begin
  const desk = findings.some(f => f.code === 'RELEASED' || f.code === 'ASSIGNED')
  return `refused: ${desk ? 'rows of the quarantine were changed before' : 'nothing was changed'}`
}
