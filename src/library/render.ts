import { oneOf } from '../model/options.js'
import type { Report } from '../model/report.js'
import { formats, rendererOf } from './discovery.js'

/** How the table for a terminal looks; the other formats have no choice. */
export interface RenderOptions {
  /** Default: false. */
  color?: boolean
  /** Also notices, statements and causes. Default: false. */
  verbose?: boolean
  /** Columns of the terminal. Default: 100. */
  width?: number
}

/**
 * A report as the command line would write it with `--format`. JSON and the tables have each finding's
 * sentence and fix in words. Throws UsageError, with the formats that there are, for any other name.
 */
export async function render(report: Report, format: string, options: RenderOptions = {}): Promise<string> {
  const renderer = await rendererOf(format)
  if (!renderer) return oneOf('format', format, await formats()) as never
  return renderer.render(report, { color: false, verbose: false, width: 100, ...options })
}
