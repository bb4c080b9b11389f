import { plural } from '../model/plural.js'
import type { Report, StepResult } from '../model/report.js'
import { type Pen, prose } from './pen.js'
import { transactionWords } from './words/verdicts.js'

/** Each step with its hazards, and its SQL on request. */
export function statementsBlock(report: Report, pen: Pen): string {
  const { c, look } = pen
  const steps = report.steps.filter(s => s.statements.length + s.hazards.length > 0)
  if (steps.length === 0 || !(report.command === 'plan' || look.verbose)) return ''
  const parts = steps.map(s => {
    const how = transactionWords(s, report.limits?.batchMs)
    const title = prose(`${s.migration}: ${s.title} (${how})`, pen, 2).map(line => c.bold(line))
    const hazards = hazardLines(s, pen)
    const sql = look.verbose ? s.statements.map(text => c.dim(`${text.replace(/^/gm, '    ')};`)) : []
    return [...title, ...hazards, ...sql].join('\n')
  })
  const count = steps.reduce((n, s) => n + s.statements.length, 0)
  const hidden = prose(`The SQL, ${plural(count, 'statement')}: --verbose, or --output plan.html`, pen, 2)
    .map(c.dim)
    .join('\n')
  return [c.bold('What the steps do'), ...parts, ...(look.verbose || count === 0 ? [] : [hidden])].join(
    '\n\n',
  )
}

/** Most hazards of one kind on one subject that are shown; others are counted. */
const shownOfAKind = 2

/** The hazards of a step: for each kind and subject the first ones. */
function hazardLines(s: StepResult, pen: Pen): string[] {
  const kinds = new Map<string, StepResult['hazards']>()
  for (const h of s.hazards) {
    const key = `${h.code} ${h.subject}`
    kinds.set(key, [...(kinds.get(key) ?? []), h])
  }
  return [...kinds.values()].flatMap(same => {
    const shown = pen.look.verbose || same.length === shownOfAKind + 1 ? same : same.slice(0, shownOfAKind)
    const left = same.length - shown.length
    return [
      ...shown.map(h => `${h.subject === s.migration ? '' : `${h.subject}: `}${h.detail}`),
      ...(left > 0 ? [`and ${left} more on ${same[0]!.subject}: --verbose`] : []),
    ].flatMap(text => {
      const { code } = same[0]!
      const [first, ...more] = prose(`  ${code} ${text}`, pen, 2)
      return [first!.replace(code, pen.c.yellow(code)), ...more]
    })
  })
}
