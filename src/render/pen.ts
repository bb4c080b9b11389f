import type { Colors } from './colors.js'
import { type Grid, gridLines } from './grid.js'
import type { TerminalStyle } from './renderer.js'
import { wrapped } from './wrap.js'

/** The colours and style of a report. */
export interface Pen {
  c: Colors
  look: TerminalStyle
}

/** Sentences as lines: wrapped to the terminal's width, or unchanged if the style does not wrap. */
export const prose = (text: string, { look }: Pen, hanging = 0): string[] =>
  look.wrap ? wrapped(text, look.width, hanging) : text.split('\n')

/** A table with its title. `spare` are the columns that a narrow terminal leaves out. */
export const gridBlock = (title: string, grid: Grid, spare: string[], { c, look }: Pen): string =>
  [c.bold(title), ...gridLines(grid, look.width - 2, spare, c.dim).map(line => `  ${line}`)].join('\n')
