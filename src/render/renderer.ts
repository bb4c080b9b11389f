import type { Report } from '../model/report.js'

/** What a file of `render/` fills in. One file = one format; its name is the format's. */
export interface Renderer {
  /** The report as text, ended by a line end. */
  render(report: Report, look: TerminalStyle): string | Promise<string>
  /** A page that is added to the file that an environment variable names, beside the output. */
  page?: { env: string; render(report: Report): string | Promise<string> }
}

/** Declares a format. */
export const defineRenderer = (renderer: Renderer): Renderer => renderer

/** How the terminal report looks. */
export interface TerminalStyle {
  color: boolean
  verbose: boolean
  width: number
}
