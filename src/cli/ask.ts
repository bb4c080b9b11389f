import type { Report } from '../model/report.js'
import { terminalText } from '../render/escape.js'
import { worded } from '../render/words/index.js'
import type { StderrLines } from './stderr_lines.js'

/** What a person has typed: hazards, the database's name, and for how many rows QUARANTINES_ROWS is. */
export interface Agreed {
  allow: string[]
  confirm: string | null
  rows: number | null
}

/** Puts a question on stderr, and waits for a line of answer. */
async function askLine(process: NodeJS.Process, message: string, usual?: string): Promise<string> {
  const { default: ask } = await import('@inquirer/input')
  const answer = await ask({ message, ...(usual ? { default: usual } : {}) }, { output: process.stderr })
  return answer.trim()
}

/** The consent that a report waits for; null where something else is in its way too, or nothing at all. */
function consentWanted({ findings }: Report) {
  const refused = findings.filter(f => f.level === 'refused')
  const needed = refused.find(f => f.code === 'CONSENT_NEEDED')
  const outdated = refused.find(f => f.code === 'PLAN_OUTDATED')
  const others = findings.some(f => f.level === 'error') || refused.some(f => f !== needed && f !== outdated)
  return refused.length === 0 || others ? null : { needed, outdated }
}

/** Shows what a rollback would take away, before it is asked whether it may. */
async function showLoss(process: NodeJS.Process, lines: StderrLines, report: Report): Promise<void> {
  if (report.command !== 'rollback' || report.tables.length === 0) return
  const { tableBlocks } = await import('../render/table.js')
  const style = { color: false, verbose: false, width: process.stderr.columns ?? 100, wrap: true }
  lines.write(`${(await tableBlocks(report.tables, style)).join('\n\n')}\n`)
}

/** Asks for the consent that a refused report needs; null where it needs another thing, or none is given. */
export async function askForConsent(
  process: NodeJS.Process,
  lines: StderrLines,
  report: Report,
): Promise<Agreed | null> {
  const wanted = consentWanted(report)
  if (!wanted) return null
  const { needed, outdated } = wanted
  lines.endLive()
  await showLoss(process, lines, report)
  for (const f of [outdated, needed]) if (f) lines.write(worded(f).message)
  if (outdated && (await askLine(process, 'Type yes to execute it as it is now:')) !== 'yes') return null
  if (!needed) return { allow: [], confirm: null, rows: null }
  const { missing, confirm, rows } = needed.facts
  for (const hazard of missing)
    if ((await askLine(process, `Type ${hazard} to allow it:`)) !== hazard) return null
  return {
    allow: [...missing],
    confirm: confirm === null ? null : await askLine(process, 'Type the name of the database:'),
    rows: rows ?? null,
  }
}

/** Asks for the names that a refused report leaves open: `role=name` each; null where one is not given. */
export async function askForNames(
  process: NodeJS.Process,
  lines: StderrLines,
  report: Report,
): Promise<string[] | null> {
  const open = report.findings.find(f => f.code === 'MAPPING_OPEN')
  if (!open) return null
  const { roles, questions, names } = open.facts
  lines.endLive()
  const answers: string[] = []
  for (const [n, role] of roles.entries()) {
    lines.write(questions[n]!)
    const usual = names[n]
    const name = await askLine(process, `${terminalText(role)}:`, usual ? terminalText(usual) : undefined)
    if (name === '') return null
    answers.push(`${role}=${name}`)
  }
  return answers
}
