import type { Event } from '../model/event.js'
import { terminalText } from '../render/escape.js'
import { wrapped } from '../render/wrap.js'
import { showsUnicode, withPlainMarks } from './look.js'
import { liveLine } from './progress.js'

/** Lines on stderr, and below them at most one live line, which changes in place. */
export interface StderrLines {
  /** Writes a line as it is. */
  write(text: string): void
  /** Writes a sentence, wrapped at words where a terminal shows it. */
  writeWords(text: string): void
  /** Puts how far a backfill is in the place of the live line. */
  showLive(event: Event & { type: 'batch' }): void
  /** Takes the live line away, so that what follows begins on a line of its own. */
  endLive(): void
}

/** Lines on the stderr of a process, in characters that its terminal can show. */
export function stderrLines(process: NodeJS.Process): StderrLines {
  const marks = showsUnicode(process) ? (text: string) => text : withPlainMarks
  let isLive = false
  const write = (text: string): void => {
    process.stderr.write(`${marks(terminalText(text))}\n`)
  }
  return {
    write,
    writeWords: text =>
      write(process.stderr.isTTY ? wrapped(text, process.stderr.columns ?? 80, 2).join('\n') : text),
    showLive: event => {
      // a line as wide as the terminal would wrap, and could not be taken away
      const width = (process.stderr.columns ?? 80) - 1
      process.stderr.write(`\r\u001b[2K${marks(terminalText(liveLine(event, width)))}`)
      isLive = true
    },
    endLive: () => {
      if (isLive) process.stderr.write('\r\u001b[2K')
      isLive = false
    },
  }
}
