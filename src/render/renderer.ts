import type { Report } from '../model/report.js'
import { escaped, visibleText } from './escape.js'

/** The contents of a file in `render/`. Each file is one format, with the file's name. */
export interface Renderer {
  /** Endings of file names for this format, such as `.md`. Omitted if it is not for files. */
  endings?: string[]
  /** The report as text, with a line end. */
  render(report: Report, look: TerminalStyle): string | Promise<string>
  /** A page that is also added to the file in an environment variable. */
  page?: { env: string; render(report: Report): string | Promise<string> }
}

/**
 * Declares a format. `safe` is applied to every text of a report before it is rendered, because names, titles
 * and messages may contain control sequences of the format.
 */
export const defineRenderer = ({
  render,
  page,
  endings = [],
  safe = visibleText,
}: Renderer & { safe?: (text: string) => string }): Renderer => ({
  endings,
  render: (report, look) => render(escaped(report, safe), look),
  ...(page ? { page: { ...page, render: report => page.render(escaped(report, safe)) } } : {}),
})

/** The style of a report for a terminal. */
export interface TerminalStyle {
  color: boolean
  verbose: boolean
  width: number
  /** Wrap sentences, for people. Not for programs that read lines. Default: false. */
  wrap?: boolean
}
