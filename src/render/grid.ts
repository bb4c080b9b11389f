import type CliTable from 'cli-table3'
import { displayWidth, wrapped } from './wrap.js'

let TerminalTable: typeof CliTable | null = null

/** Loads the package for tables. Runs with nothing to do do not need it. */
export async function loadTables(): Promise<void> {
  TerminalTable ??= (await import('cli-table3')).default
}

/**
 * Divides a line into pieces of at most `width` characters, after a dot, an underscore or a comma if
 * possible.
 */
function pieces(line: string, width: number): string[] {
  const cut: string[] = []
  let rest = line
  while (displayWidth(rest) > width) {
    const head = rest.slice(0, width)
    const at = Math.max(head.lastIndexOf('.'), head.lastIndexOf('_'), head.lastIndexOf(',')) + 1
    cut.push(rest.slice(0, at > width / 3 ? at : width))
    rest = rest.slice(cut.at(-1)!.length)
  }
  return [...cut, rest]
}

const longestOf = (texts: string[]): number =>
  texts.reduce((most, text) => Math.max(most, displayWidth(text)), 0)

/** Blanks between two columns. */
const columnGap = 2

/** Smallest width of a column with prose: as long as another column can be left out, and otherwise. */
const goodProse = 36
const leastProse = 16

/** A table for layout: the head, and rows with the same number of cells. */
export interface Grid {
  head: string[]
  rows: string[][]
}

/**
 * Column widths for a terminal of `width` columns; null if the table does not fit. Only columns with blanks
 * become narrower, the widest first. Words are not cut.
 */
function columnWidths({ head, rows }: Grid, width: number, prose: number): number[] | null {
  const cells = head.map((name, i) => [name, ...rows.map(row => row[i] ?? '')])
  const widths = cells.map(texts => longestOf(texts.flatMap(text => text.split('\n'))))
  const least = cells.map((texts, i) =>
    Math.min(widths[i]!, Math.max(prose, longestOf(texts.flatMap(text => text.split(/\s/))))),
  )
  let over = widths.reduce((sum, w) => sum + w, 0) + columnGap * (head.length - 1) - width
  while (over > 0) {
    const open = widths.map((w, i) => (w > least[i]! ? w : 0))
    const [most, next = 0] = [...open].sort((a, b) => b - a)
    if (!most) return null
    const widest = open.indexOf(most)
    // reduce to the width of the next widest column, or by one if they are equal
    const less = Math.min(over, most - Math.max(least[widest]!, Math.min(next, most - 1)))
    widths[widest]! -= less
    over -= less
  }
  return widths
}

/** The table without columns that are empty in all rows. */
function withoutEmpty({ head, rows }: Grid): Grid {
  const says = head.map((_, i) => rows.some(row => !['', '-'].includes(row[i] ?? '')))
  const kept = (cells: string[]) => cells.filter((_, i) => says[i])
  return { head: kept(head), rows: rows.map(kept) }
}

/** The table without a column; unchanged if there is none with this name. */
function withoutColumn(grid: Grid, name: string): Grid {
  const at = grid.head.indexOf(name)
  if (at < 0) return grid
  const kept = (cells: string[]) => cells.filter((_, i) => i !== at)
  return { head: kept(grid.head), rows: grid.rows.map(kept) }
}

/**
 * A table as lines of at most `width` columns, wrapped at words. If that is not possible, the columns in
 * `spare` are left out, in order; else each row is shown as a list of names and values. Call `loadTables`
 * first.
 */
export function gridLines(
  given: Grid,
  width: number,
  spare: string[] = [],
  dim: (text: string) => string = text => text,
): string[] {
  let grid = withoutEmpty(given)
  let widths = columnWidths(grid, width, goodProse)
  for (const name of spare) {
    if (widths) break
    grid = withoutColumn(grid, name)
    widths = columnWidths(grid, width, goodProse)
  }
  widths ??= columnWidths(grid, width, leastProse)
  if (!widths) return stacked(withoutEmpty(given), width, dim)
  const fitting = widths
  const linesOf = (cells: string[], paint: (text: string) => string = text => text): string[][] => {
    const parts = cells.map((text, i) => wrapped(text, fitting[i]!))
    return Array.from({ length: Math.max(...parts.map(p => p.length)) }, (_, n) =>
      parts.map(p => paint(p[n] ?? '')),
    )
  }
  const hasHead = grid.head.some(name => name !== '')
  const lines = [...(hasHead ? linesOf(grid.head, dim) : []), ...grid.rows.flatMap(cells => linesOf(cells))]
  return drawn(lines, fitting)
}

/** Lines that are laid out together. The time grows faster than their number. */
const linesAtOnce = 200

function drawn(lines: string[][], colWidths: number[]): string[] {
  const text: string[] = []
  for (let at = 0; at < lines.length; at += linesAtOnce) {
    const table = new TerminalTable!({
      colWidths,
      chars: { ...noBorders, middle: ' '.repeat(columnGap) },
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    })
    table.push(...lines.slice(at, at + linesAtOnce))
    text.push(...table.toString().split('\n'))
  }
  return text.map(line => line.trimEnd())
}

/** Characters for a table without borders. */
const noBorders = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '' },
}

/** Indentation of values below the title of a row. */
const stackedGap = '  '

/** Each row as a list: its first cells as a title, then each other cell with the name of its column. */
function stacked({ head, rows }: Grid, width: number, dim: (text: string) => string): string[] {
  const titles = head[0] === '' ? 2 : 1
  const room = width - 4
  const broken = (text: string, most: number) => wrapped(text, most, 2).flatMap(line => pieces(line, most))
  return rows.flatMap(cells => {
    const lines: string[] = []
    for (const [i, text] of cells.slice(titles).entries()) {
      if (text === '' || text === '-') continue
      const name = head[i + titles]!
      const [first, ...more] = broken(name === '' ? text : `${name}: ${text}`, room)
      const at = name === '' ? 0 : Math.min(first!.length, name.length + 1)
      const shown = at === 0 ? first! : dim(first!.slice(0, at)) + first!.slice(at)
      const last = lines.at(-1)
      if (last !== undefined && more.length === 0 && displayWidth(last + stackedGap + first) <= room)
        lines.push(lines.pop() + stackedGap + shown)
      else lines.push(shown, ...more)
    }
    const title = cells.slice(0, titles).filter(Boolean).join(' ')
    return [...broken(title, width), ...lines.map(line => `    ${line}`)]
  })
}
