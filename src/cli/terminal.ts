import type { Event } from '../model/event.js'
import type { Report } from '../model/report.js'
import { jsonText, terminalText } from '../render/escape.js'
import { worded } from '../render/words/index.js'
import { duration, number } from '../render/words/numbers.js'
import { progressLine } from './progress.js'

/** What a person has typed: hazards, the database's name, and for how many rows QUARANTINES_ROWS is. */
interface Agreed {
  allow: string[]
  confirm: string | null
  rows: number | null
}

/** Where events go, and the only place that asks a person anything. */
interface Terminal {
  emit: (event: Event) => void
  /** On a terminal: asks for the consent that a refused report needs; null when there is nobody to ask. */
  askConsent(report: Report, never: boolean): Promise<Agreed | null>
  /** On a terminal: asks what a refused report leaves open; what was answered, null where nobody is asked. */
  askNames(report: Report, never: boolean): Promise<string[] | null>
  close(): void
}

/** Milliseconds between two plain progress lines where there is no terminal. */
const plainEveryMs = 3000

/**
 * One line of JSON for each event: when, which run of the ledger, and the event. `run` is null before the run
 * has a number, and for commands that only read.
 */
function eventLog(process: NodeJS.Process): (event: Event) => void {
  const runs = new Map<string | undefined, number>()
  return event => {
    if (event.type === 'run') runs.set(event.target, event.run)
    const line = { time: new Date().toISOString(), ...event, run: runs.get(event.target) ?? null }
    process.stderr.write(`${jsonText(JSON.stringify(line))}\n`)
  }
}

/** A live bar over the batches of a backfill. */
interface Bar {
  show(event: Event & { type: 'batch' }): void
  stop(): void
}

/** The package is loaded with the first batch; batches until then are not shown. */
function liveBar(process: NodeJS.Process): Bar {
  let bar: { update(value: number, payload: object): void; stop(): void } | null = null
  let opening = false
  const open = async () => {
    const { SingleBar, Presets } = await import('cli-progress')
    if (!opening) return
    const made = new SingleBar(
      {
        format: '  {bar} {percent}%  {rows} rows  {rate} rows/s  ETA {left}  batch {batch} ({pace})',
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
      },
      Presets.shades_classic,
    )
    made.start(1000, 0, { rows: '0', rate: '0', left: '?', batch: '', pace: '' })
    bar = made
  }
  return {
    show: event => {
      if (!bar && !opening) {
        opening = true
        void open()
      }
      bar?.update(Math.floor(event.fraction * 1000), {
        rows: number(event.rows),
        rate: number(event.rowsPerSecond),
        left: event.etaSeconds === null ? '?' : duration(event.etaSeconds * 1000),
        batch: duration(event.batchMs),
        pace: event.pace,
      })
    },
    stop: () => {
      bar?.stop()
      bar = null
      opening = false
    },
  }
}

/** Makes the sink of one command: a live bar on a terminal, a plain line every few seconds otherwise. */
export function openTerminal(
  process: NodeJS.Process,
  look: { quiet: boolean; verbose: boolean; json: boolean },
): Terminal {
  const isLive = Boolean(process.stderr.isTTY) && !look.quiet && !look.json
  const log = look.json ? eventLog(process) : null
  const bar = liveBar(process)
  // a bar is of one database: many have lines, each at its own time
  const last = new Map<string | undefined, number>()
  const batch = (event: Event & { type: 'batch' }) => {
    if (isLive && event.target === undefined) return bar.show(event)
    const now = performance.now()
    if (now - (last.get(event.target) ?? 0) < plainEveryMs) return
    last.set(event.target, now)
    write(process, progressLine(event, look.verbose))
  }
  // without a terminal nothing is ever asked: a pipeline would hang
  const mayAsk = (never: boolean) => !never && Boolean(process.stdin.isTTY && process.stderr.isTTY)
  return {
    emit: event => {
      if (log) return log(event)
      if (look.quiet) return
      if (event.type === 'batch') return batch(event)
      const text = progressLine(event, look.verbose)
      if (text === null) return
      bar.stop()
      write(process, text)
    },
    askConsent: async (report, never) => {
      if (!mayAsk(never)) return null
      bar.stop()
      return askConsent(process, report)
    },
    askNames: async (report, never) => {
      if (!mayAsk(never)) return null
      bar.stop()
      return askNames(process, report)
    },
    close: bar.stop,
  }
}

function write(process: NodeJS.Process, text: string | null): void {
  if (text !== null) process.stderr.write(terminalText(text) + '\n')
}

/** Asks on stderr: stdout is the report's. */
async function asker(process: NodeJS.Process): Promise<(message: string, usual?: string) => Promise<string>> {
  const { default: ask } = await import('@inquirer/input')
  return async (message, usual) =>
    (await ask({ message, ...(usual ? { default: usual } : {}) }, { output: process.stderr })).trim()
}

/** What a person allows of what was refused; null where that is nothing that consent could change. */
async function askConsent(process: NodeJS.Process, report: Report): Promise<Agreed | null> {
  const refused = report.findings.filter(f => f.level === 'refused')
  const needed = refused.find(f => f.code === 'CONSENT_NEEDED')
  const outdated = refused.find(f => f.code === 'PLAN_OUTDATED')
  const others =
    report.findings.some(f => f.level === 'error') || refused.some(f => f !== needed && f !== outdated)
  if (refused.length === 0 || others) return null
  const ask = await asker(process)
  await showLoss(process, report)
  for (const f of [outdated, needed]) if (f) write(process, worded(f).message)
  if (outdated && (await ask('Type yes to execute it as it is now:')) !== 'yes') return null
  if (!needed) return { allow: [], confirm: null, rows: null }
  const allow: string[] = []
  for (const hazard of needed.facts.missing) {
    if ((await ask(`Type ${hazard} to allow it:`)) !== hazard) return null
    allow.push(hazard)
  }
  const confirm = needed.facts.confirm === null ? null : await ask('Type the name of the database:')
  return { allow, confirm, rows: needed.facts.rows ?? null }
}

/** Shows what a rollback would take away, before it is asked whether it may. */
async function showLoss(process: NodeJS.Process, report: Report): Promise<void> {
  if (report.command !== 'rollback' || report.tables.length === 0) return
  const { tableBlocks } = await import('../render/table.js')
  const style = { color: false, verbose: false, width: process.stderr.columns ?? 100 }
  write(process, `${(await tableBlocks(report.tables, style)).join('\n\n')}\n`)
}

/** The names of open roles, as `--map` takes them; null where there are none or a person gave up. */
async function askNames(process: NodeJS.Process, report: Report): Promise<string[] | null> {
  const open = report.findings.find(f => f.code === 'MAPPING_OPEN')
  if (!open) return null
  const ask = await asker(process)
  const answers: string[] = []
  for (const [n, role] of open.facts.roles.entries()) {
    process.stderr.write(`${open.facts.questions[n]}\n`)
    const name = await ask(`${role}:`, open.facts.names[n])
    if (name === '') return null
    answers.push(`${role}=${name}`)
  }
  return answers
}
