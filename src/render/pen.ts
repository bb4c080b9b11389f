import type { Colors } from './colors.js'
import { type Grid, gridLines } from './grid.js'
import type { TerminalStyle } from './renderer.js'
import { wrapped } from './wrap.js'

/** What draws a report: its colours, and how wide it may be. */
export interface Pen {
  c: Colors
  look: TerminalStyle
}

/** Sentences in lines: as wide as the terminal, and whole where nobody's terminal is asked about. */
export const prose = (text: string, { look }: Pen, hanging = 0): string[] =>
  look.wrap ? wrapped(text, look.width, hanging) : text.split('\n')

/** A table with its title; `spare` are the columns that a narrow terminal does without. */
export const gridBlock = (title: string, grid: Grid, spare: string[], { c, look }: Pen): string =>
  [c.bold(title), ...gridLines(grid, look.width - 2, spare, c.dim).map(line => `  ${line}`)].join('\n')
