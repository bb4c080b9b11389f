import type { Report } from '../model/report.js'
import { escaped, visibleText } from './escape.js'

/** What a file of `render/` fills in. One file = one format; its name is the format's. */
export interface Renderer {
  /** How names of files end that are of this format, such as `.md`; none where it is not meant for files. */
  endings?: string[]
  /** The report as text, ended by a line end. */
  render(report: Report, look: TerminalStyle): string | Promise<string>
  /** A page that is added to the file that an environment variable names, beside the output. */
  page?: { env: string; render(report: Report): string | Promise<string> }
}

/**
 * Declares a format. `safe` is applied to every text of a report before it is rendered: names, titles and
 * messages in it are other people's, and the format must not obey them.
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

/** How the terminal report looks. */
export interface TerminalStyle {
  color: boolean
  verbose: boolean
  width: number
  /** Sentences are wrapped too: somebody looks, and no program reads them line by line. Default: false. */
  wrap?: boolean
}
