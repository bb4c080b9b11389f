import { htmlText as plain } from './escape.js'

export { plain }

/** A text with `code` in backticks as code. */
export const richText = (text: string): string => plain(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/** A text as inline code. */
export const codeHtml = (text: string): string => `<code>${plain(text)}</code>`

/** A text as a code block, which can be scrolled with the keyboard. */
export const codeBlock = (text: string): string => `<pre tabindex="0">${codeHtml(text)}</pre>`

/** HTML in a subdued style. */
export const dimmed = (html: string): string => `<span class="dim">${html}</span>`

/** A name for the attribute `id`. */
export const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')

/** A cell of a table: its HTML, and its tone (number, good or bad). */
export interface Cell {
  html: string
  tone?: 'n' | 'bad' | 'good' | 'shut' | undefined
}

/**
 * A table. On a narrow screen rows are shown as lists, with the column's name in each cell. ARIA roles keep
 * it a table for a screen reader.
 */
export function htmlGrid(caption: string, head: string[], rows: Cell[][]): string {
  // align the head of a column of numbers with them
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
