import type { Event } from '../model/event.js'
import type { TypedAs } from '../model/facts.js'
import type { Report } from '../model/report.js'
import { jsonText } from '../render/escape.js'
import { asTyped } from '../render/words/as_typed.js'
import { type Agreed, askForConsent, askForNames } from './ask.js'
import { InPlace, progressLine } from './progress.js'
import { type StderrLines, stderrLines } from './stderr_lines.js'

/** Where events go, and the only place that asks a person anything. */
export interface Terminal {
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

/** How the progress of a command is shown, and how the commands that it names are to be typed. */
interface TerminalLook {
  quiet: boolean
  verbose: boolean
  json: boolean
  typedAs: TypedAs
}

/** Milliseconds between two looks of the live line. */
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

/** Events as lines for a person: a live line on a terminal, a plain line every few seconds otherwise. */
function eventLines(
  process: NodeJS.Process,
  lines: StderrLines,
  { verbose, typedAs }: TerminalLook,
): (event: Event) => void {
  // the live line is of one database: many have lines, each at its own time
  const last = new Map<string | undefined, number>()
  const isDue = (target: string | undefined, everyMs: number): boolean => {
    const now = performance.now()
    if (now - (last.get(target) ?? 0) < everyMs) return false
    last.set(target, now)
    return true
  }
  return event => {
    if (event.type === 'batch') {
      const isLive = Boolean(process.stderr.isTTY) && event.target === undefined
      if (!isDue(event.target, isLive ? liveEveryMs : plainEveryMs)) return
      if (isLive) return lines.showLive(event)
    }
    const text = progressLine(
      event.type === 'rollback-cost' ? { ...event, command: asTyped(event.command, typedAs) } : event,
      verbose,
    )
    if (text === null) return
    lines.endLive()
    // a command is to be pasted, so it is not wrapped
    if (event.type === 'rollback-cost') lines.write(text)
    else lines.writeWords(text)
  }
}

/** Makes the sink of one command. */
export function openTerminal(process: NodeJS.Process, look: TerminalLook): Terminal {
  const lines = stderrLines(process)
  const show = look.json ? eventLog(process) : look.quiet ? () => {} : eventLines(process, lines, look)
  const inPlace = new InPlace()
  // without a terminal nothing is ever asked: a pipeline would hang
  const isSomebodyThere = Boolean(process.stdin.isTTY && process.stderr.isTTY)
  return {
    emit: event => {
      inPlace.note(event)
      show(event)
    },
    askConsent: async (report, never) =>
      never || !isSomebodyThere ? null : askForConsent(process, lines, report),
    askNames: async (report, never) =>
      never || !isSomebodyThere ? null : askForNames(process, lines, report),
    interrupted: again => {
      lines.endLive()
      if (look.json || (look.quiet && !again)) return
      lines.writeWords(
        again
          ? asTyped(inPlace.text(), look.typedAs)
          : 'Stopping after the batch or statement at hand. Ctrl-C again ends at once.',
      )
    },
    close: lines.endLive,
  }
}
