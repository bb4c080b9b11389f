/** Text in lines of at most `width` characters, broken at blanks. Line ends stay, and so do longer words. */
export function wrapped(text: string, width: number): string[] {
  return text.split('\n').flatMap(line => {
    // what fits stays as it is, blanks before it too: it may be code
    if (line.length <= width) return [line]
    const lines = ['']
    for (const word of line.split(' ')) {
      const last = lines.length - 1
      if (lines[last] === '') lines[last] = word
      else if (lines[last]!.length + 1 + word.length <= width) lines[last] += ` ${word}`
      else lines.push(word)
    }
    return lines
  })
}

const longestOf = (texts: string[]): number => texts.reduce((most, text) => Math.max(most, text.length), 0)

/** Blanks between two columns. */
export const columnGap = 2

/**
 * The widths of the columns of a table for a terminal of `width` characters. Only columns with blanks
 * become narrower, the widest first; no word is cut, so a table may still be too wide.
 */
function columnWidths(head: string[], rows: string[][], width: number): number[] {
  const cells = head.map((name, i) => [name, ...rows.map(row => row[i] ?? '')])
  const widths = cells.map(texts => longestOf(texts.flatMap(text => text.split('\n'))))
  const least = cells.map(texts => longestOf(texts.flatMap(text => text.split(/\s/))))
  let over = widths.reduce((sum, w) => sum + w, 0) + columnGap * (head.length - 1) - width
  for (; over > 0; over--) {
    const open = widths.map((w, i) => (w > Math.max(least[i]!, 10) ? w : 0))
    const widest = open.indexOf(Math.max(...open))
    if (open[widest] === 0) break
    widths[widest]!--
  }
  return widths
}

/** Cells with line ends where their columns would be too wide. */
export function wrappedCells(head: string[], rows: string[][], width: number): string[][] {
  const widths = columnWidths(head, rows, width)
  return rows.map(row => row.map((text, i) => wrapped(text, widths[i]!).join('\n')))
}
