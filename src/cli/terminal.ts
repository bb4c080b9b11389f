import type { Event } from '../model/event.js'
import type { TypedAs } from '../model/facts.js'
import type { Report } from '../model/report.js'
import { jsonText, terminalText } from '../render/escape.js'
import { asTyped } from '../render/words/as_typed.js'
import { worded } from '../render/words/index.js'
import { showsUnicode, withPlainMarks } from './look.js'
import { InPlace, liveLine, progressLine } from './progress.js'

/** The consent that a person has typed: hazards, the database's name, and the rows for QUARANTINES_ROWS. */
interface Agreed {
  allow: string[]
  confirm: string | null
  rows: number | null
}

/** Receives events, and is the only place that asks a person. */
interface Terminal {
  emit: (event: Event) => void
  /** On a terminal: asks for the consent that a refused report needs. Null if nobody can be asked. */
  askConsent(report: Report, never: boolean): Promise<Agreed | null>
  /**
   * On a terminal: asks the open questions of a refused report. Returns the answers; null if nobody is asked.
   */
  askNames(report: Report, never: boolean): Promise<string[] | null>
  /** At Ctrl-C: shows what happens now; the second time, what is in place. */
  interrupted(again: boolean): void
  close(): void
}

/** Interval of the live line, in milliseconds. */
const liveEveryMs = 100

/** Interval of progress lines without a terminal, in milliseconds. */
const plainEveryMs = 3000

/**
 * One line of JSON for each event: the time, the run and the event. `run` is null before the run has a
 * number, and for commands that only read.
 */
function eventLog(process: NodeJS.Process): (event: Event) => void {
  const runs = new Map<string | undefined, number>()
  return event => {
    if (event.type === 'run') runs.set(event.target, event.run)
    const line = { time: new Date().toISOString(), ...event, run: runs.get(event.target) ?? null }
    process.stderr.write(`${jsonText(JSON.stringify(line))}\n`)
  }
}

/** Makes the sink of one command: a live line on a terminal, a plain line every few seconds otherwise. */
export function openTerminal(
  process: NodeJS.Process,
  look: { quiet: boolean; verbose: boolean; json: boolean; typedAs: TypedAs },
): Terminal {
  const live = Boolean(process.stderr.isTTY) && !look.quiet && !look.json
  const log = look.json ? eventLog(process) : null
  const marks = showsUnicode(process) ? (text: string) => text : withPlainMarks
  const inPlace = new InPlace()
  let isLive = false
  // the live line is of one database: many have lines, each at its own time
  const last = new Map<string | undefined, number>()
  /** Takes the live line away, so that what follows begins on a line of its own. */
  const endLive = () => {
    if (isLive) process.stderr.write('\r\u001b[2K')
    isLive = false
  }
  const write = (text: string | null) => {
    if (text !== null) process.stderr.write(`${marks(terminalText(text))}\n`)
  }
  const batch = (event: Event & { type: 'batch' }) => {
    const ofOne = live && event.target === undefined
    const now = performance.now()
    if (now - (last.get(event.target) ?? 0) < (ofOne ? liveEveryMs : plainEveryMs)) return
    last.set(event.target, now)
    if (!ofOne) return write(progressLine(event, look.verbose))
    // a line as wide as the terminal would wrap, and could not be taken away
    const width = (process.stderr.columns ?? 80) - 1
    process.stderr.write(`\r\u001b[2K${marks(terminalText(liveLine(event, width)))}`)
    isLive = true
  }
  /** Shows what a rollback would take away, before it is asked whether it may. */
  const showLoss = async (report: Report) => {
    if (report.command !== 'rollback' || report.tables.length === 0) return
    const { tableBlocks } = await import('../render/table.js')
    const style = { color: false, verbose: false, width: process.stderr.columns ?? 100, wrap: true }
    write(`${(await tableBlocks(report.tables, style)).join('\n\n')}\n`)
  }
  return {
    emit: event => {
      inPlace.note(event)
      if (log) return log(event)
      if (look.quiet) return
      if (event.type === 'batch') return batch(event)
      const { typedAs } = look
      const text = progressLine(
        event.type === 'rollback-cost' ? { ...event, command: asTyped(event.command, typedAs) } : event,
        look.verbose,
      )
      if (text === null) return
      endLive()
      write(text)
    },
    askConsent: async (report, never) => {
      const refused = report.findings.filter(f => f.level === 'refused')
      const needed = refused.find(f => f.code === 'CONSENT_NEEDED')
      const outdated = refused.find(f => f.code === 'PLAN_OUTDATED')
      const others =
        report.findings.some(f => f.level === 'error') || refused.some(f => f !== needed && f !== outdated)
      // without a terminal nothing is ever asked: a pipeline would hang
      if (refused.length === 0 || others || never || !process.stdin.isTTY || !process.stderr.isTTY)
        return null
      endLive()
      const { default: ask } = await import('@inquirer/input')
      const context = { output: process.stderr }
      await showLoss(report)
      for (const f of [outdated, needed]) if (f) write(worded(f).message)
      if (
        outdated &&
        (await ask({ message: 'Type yes to execute it as it is now:' }, context)).trim() !== 'yes'
      )
        return null
      if (!needed) return { allow: [], confirm: null, rows: null }
      const missing = needed.facts.missing
      const allow: string[] = []
      for (const hazard of missing) {
        if ((await ask({ message: `Type ${hazard} to allow it:` }, context)).trim() !== hazard) return null
        allow.push(hazard)
      }
      const confirm =
        needed.facts.confirm === null
          ? null
          : (await ask({ message: 'Type the name of the database:' }, context)).trim()
      return { allow, confirm, rows: needed.facts.rows ?? null }
    },
    askNames: async (report, never) => {
      const open = report.findings.find(f => f.code === 'MAPPING_OPEN')
      if (!open || never || !process.stdin.isTTY || !process.stderr.isTTY) return null
      endLive()
      const { default: ask } = await import('@inquirer/input')
      const answers: string[] = []
      for (const [n, role] of open.facts.roles.entries()) {
        write(open.facts.questions[n]!)
        const usual = open.facts.names[n]
        const typed = await ask(
          { message: `${terminalText(role)}:`, ...(usual ? { default: terminalText(usual) } : {}) },
          { output: process.stderr },
        )
        if (typed.trim() === '') return null
        answers.push(`${role}=${typed.trim()}`)
      }
      return answers
    },
    interrupted: again => {
      endLive()
      if (!look.json && (again || !look.quiet))
        write(
          again
            ? asTyped(inPlace.text(), look.typedAs)
            : 'Stopping after the batch or statement at hand. Ctrl-C again ends at once.',
        )
    },
    close: endLive,
  }
}
