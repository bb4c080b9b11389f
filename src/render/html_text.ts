import { htmlText as plain } from './escape.js'

export { plain }

/** Text with `code` in backticks set as code. */
export const richText = (text: string): string => plain(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/** Text set as code, within a line. */
export const codeHtml = (text: string): string => `<code>${plain(text)}</code>`

/** Text set as a block of code, which can be scrolled with the keyboard. */
export const codeBlock = (text: string): string => `<pre tabindex="0">${codeHtml(text)}</pre>`

/** HTML that matters less than what is beside it. */
export const dimmed = (html: string): string => `<span class="dim">${html}</span>`

/** A name as an attribute `id`. */
export const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')

/** A cell of a table: its HTML, and whether it is a number, or said to be right or wrong. */
export interface Cell {
  html: string
  tone?: 'n' | 'bad' | 'good' | 'shut' | undefined
}

/**
 * A table that is read row by row where it does not fit: there each cell has the name of its column. The
 * roles keep it a table for a screen reader, whatever the style makes of it.
 */
export function htmlGrid(caption: string, head: string[], rows: Cell[][]): string {
  // a column of numbers has its name above them
  const numeric = head.map((_, i) => rows.length > 0 && rows.every(r => r[i]?.tone === 'n'))
  const columns = head
    .map((h, i) => `<th role="columnheader" scope="col"${numeric[i] ? ' class="n"' : ''}>${plain(h)}</th>`)
    .join('')
  const body = rows.map(cells => {
    const tds = cells.map(({ html, tone }, i) => {
      const label = head[i] === '' ? '' : ` data-label="${plain(head[i]!)}"`
      return `<td role="cell"${tone ? ` class="${tone}"` : ''}${label}>${html}</td>`
    })
    return `<tr role="row">${tds.join('')}</tr>`
  })
  return `<div class="scroll"><table role="table" aria-label="${plain(caption)}">
<thead role="rowgroup"><tr role="row">${columns}</tr></thead>
<tbody role="rowgroup">
${body.join('\n')}
</tbody></table></div>`
}
