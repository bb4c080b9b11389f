// What the benchmarks print, as docs/benchmarks.md has it: copy and paste.

/**
 * A table of Markdown: the date, then a column for each name that a row has. An object of rows gets its names
 * as a column.
 */
export function markdownTable(rows, date) {
  const named = Array.isArray(rows) ? rows : Object.entries(rows).map(([what, row]) => ({ what, ...row }))
  const list = named.map(row => ({ date, ...row }))
  const columns = [...new Set(list.flatMap(row => Object.keys(row)))]
  const line = cells => `| ${cells.join(' | ')} |`
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...list.map(row => line(columns.map(c => String(row[c] ?? '').replaceAll('|', '\\|')))),
  ].join('\n')
}

/** What a row says of its goal: empty where it has none. */
export const reached = (value, goal) => (goal === null ? '' : value <= goal ? 'yes' : 'no')
