import { oneOf } from '../model/options.js'
import type { Report } from '../model/report.js'
import { formats, rendererOf } from './discovery.js'

/** Options of the table for a terminal. Other formats have none. */
export interface RenderOptions {
  /** Default: false. */
  color?: boolean
  /** Also show notices, statements and causes. Default: false. */
  verbose?: boolean
  /** Columns of the terminal. Default: 100. */
  width?: number
}

/**
 * A report in the output of `--format`. JSON and the tables have the sentence and fix of each finding. Throws
 * UsageError with the known formats for any other name.
 */
export async function render(report: Report, format: string, options: RenderOptions = {}): Promise<string> {
  const renderer = await rendererOf(format)
  if (!renderer) return oneOf('format', format, await formats()) as never
  return renderer.render(report, { color: false, verbose: false, width: 100, ...options })
}
