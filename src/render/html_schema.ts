import type { Report, TablePicture } from '../model/report.js'
import { codeHtml, plain } from './html_text.js'

type Schema = NonNullable<Report['schema']>
type ObjectChange = 'new' | 'gone' | 'changed' | 'same'

/** Sizes of the drawing in pixels: a table's box, a line of it, and the space for references beside it. */
const boxWidth = 276
const lineHeight = 20
const gap = 22
const laneWidth = 9
const pad = 10

/** Most columns of a table that are shown although they do not change. */
const shownColumns = 6

/** One line of a table's box. */
interface BoxLine {
  name: string
  type: string
  key: boolean
  change: ObjectChange
}

/** A table in the drawing. */
interface Box {
  table: string
  change: ObjectChange
  lines: BoxLine[]
  left: number
  top: number
  references: { columns: string[]; to: string; isNew: boolean }[]
}

/** A drawing of the tables that a plan touches, before and after it, with the differences in words. */
export function schemaDrawing(schema: Schema): string {
  const { before, after, from } = schema
  const words = differentTables(schema)
  const how = from === 'rehearsal' ? 'as the rehearsal has left them' : 'as the statements say'
  return `<div class="pictures">
${figure('Before', boxesOf(before, after, 'gone'))}
${figure(`After, ${how}`, boxesOf(after, before, 'new'))}
</div>
<ul class="changes">${words.map(text => `<li>${text}</li>`).join('')}</ul>`
}

/** The differences, one line each. */
function differentTables({ before, after }: Schema): string[] {
  const list = (what: string, names: string[]) =>
    names.length === 0 ? [] : [`${what}: ${names.map(codeHtml).join(', ')}`]
  const columns = (from: TablePicture[], to: TablePicture[]) =>
    from.flatMap(t => {
      const other = to.find(o => o.table === t.table)
      const missing = other ? t.columns.filter(c => !other.columns.some(o => o.name === c.name)) : []
      return missing.map(c => `${t.table}.${c.name}`)
    })
  const links = (from: TablePicture[], to: TablePicture[]) =>
    from.flatMap(t => {
      const others = new Set(to.find(o => o.table === t.table)?.references.map(linkText) ?? [])
      return t.references.filter(r => !others.has(linkText(r))).map(r => `${t.table} ${linkText(r)}`)
    })
  const tables = (from: TablePicture[], to: TablePicture[]) =>
    from.filter(t => !to.some(o => o.table === t.table)).map(t => t.table)
  const found = [
    ...list('New tables', tables(after, before)),
    ...list('Tables gone', tables(before, after)),
    ...list('New columns', columns(after, before)),
    ...list('Columns gone', columns(before, after)),
    ...list('New references', links(after, before)),
    ...list('References gone', links(before, after)),
  ]
  return found.length > 0 ? found : ['No table, column or reference is different.']
}

const linkText = ({ columns, to }: TablePicture['references'][number]): string =>
  `(${columns.join(', ')}) → ${to}`

/** The boxes of one side, one below the other. `odd` marks what the other side lacks. */
function boxesOf(tables: TablePicture[], others: TablePicture[], odd: 'new' | 'gone'): Box[] {
  let top = pad
  return tables.map(t => {
    const other = others.find(o => o.table === t.table)
    const linked = new Set(t.references.flatMap(r => r.columns))
    const lines = t.columns.map((c): BoxLine => {
      const was = other?.columns.find(o => o.name === c.name)
      const differs = was && (was.type !== c.type || was.nullable !== c.nullable)
      const change = !other || !was ? odd : differs ? 'changed' : 'same'
      return { name: c.name, type: shortType(c.type) + (c.nullable ? '?' : ''), key: c.key, change }
    })
    const important = (l: BoxLine) =>
      l.key || linked.has(l.name) || (other !== undefined && l.change !== 'same')
    const spare = lines
      .filter(l => !important(l))
      .slice(shownColumns - Math.min(shownColumns, lines.filter(important).length))
    const shown = lines.filter(l => !spare.includes(l))
    const box: Box = {
      table: t.table,
      change: other ? 'same' : odd,
      lines: shown,
      left: lines.length - shown.length,
      top,
      references: t.references.map(r => ({
        ...r,
        isNew: !other?.references.some(o => linkText(o) === linkText(r)),
      })),
    }
    top += heightOf(box) + gap
    return box
  })
}

const heightOf = ({ lines, left }: Box): number => (lines.length + 1 + (left > 0 ? 1 : 0)) * lineHeight + 10

/** Common names of types. */
const shortType = (type: string): string =>
  type
    .replace('timestamp with time zone', 'timestamptz')
    .replace('timestamp without time zone', 'timestamp')
    .replace('character varying', 'varchar')
    .replace('double precision', 'float8')

const marks: Record<ObjectChange, string> = { new: '+ ', gone: '− ', changed: '~ ', same: '' }

/** A text, cut to fit into a box. */
const cutTo = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text

function figure(title: string, boxes: Box[]): string {
  if (boxes.length === 0)
    return `<figure><figcaption>${plain(title)}</figcaption><p>none of the tables is there</p></figure>`
  const links = boxes.flatMap(from =>
    from.references.flatMap(r => {
      const to = boxes.find(b => b.table === r.to)
      return to ? [{ from, to, columns: r.columns, isNew: r.isNew }] : []
    }),
  )
  const last = boxes.at(-1)!
  const height = last.top + heightOf(last) + pad
  const width = pad + boxWidth + 14 + links.length * laneWidth + pad
  const described = boxes.map(b => [b.table, ...b.references.map(r => `references ${r.to}`)].join(', '))
  const label = `${title}: ${described.join('; ')}`
  return `<figure><figcaption>${plain(title)}</figcaption>
<div class="scroll">
<svg role="img" aria-label="${plain(label)}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
${boxes.map(box).join('\n')}
${links.map(link).join('\n')}
</svg></div></figure>`
}

function box(b: Box): string {
  const lines = b.lines.map((l, i) => {
    const y = b.top + (i + 2) * lineHeight
    const name = plain(cutTo(`${marks[l.change]}${l.name}`, 22))
    const type = plain(cutTo(l.type, 15))
    const right = pad + boxWidth - 10
    return `<text class="${l.change}${l.key ? ' pk' : ''}" x="${pad + 10}" y="${y}">${name}</text>
<text class="type ${l.change}" x="${right}" y="${y}" text-anchor="end">${type}</text>`
  })
  const below = b.top + (b.lines.length + 2) * lineHeight
  const more =
    b.left > 0
      ? `<text class="type" x="${pad + 10}" y="${below}">and ${b.left} more column${b.left === 1 ? '' : 's'}</text>`
      : ''
  const rect = (kind: string, height: number) =>
    `<rect class="${kind}" x="${pad}" y="${b.top}" width="${boxWidth}" height="${height}" rx="6"></rect>`
  const title = plain(cutTo(marks[b.change] + b.table, 32))
  return `<g class="box ${b.change}">${rect('frame', heightOf(b))}${rect('name', lineHeight + 4)}
<text class="title ${b.change}" x="${pad + 10}" y="${b.top + 17}">${title}</text>
${lines.join('\n')}${more}</g>`
}

function link(l: { from: Box; to: Box; columns: string[]; isNew: boolean }, lane: number): string {
  const line = Math.max(
    0,
    l.from.lines.findIndex(c => c.name === l.columns[0]),
  )
  const right = pad + boxWidth
  // offsets keep references of a table to itself, and several to the same table, apart
  const fromY = l.from.top + (line + 2) * lineHeight - 5
  const toY = l.to.top + 8 + (lane % 3) * 5
  const x = right + 14 + lane * laneWidth
  return `<g class="link ${l.isNew ? 'new' : 'same'}">
<path d="M${right} ${fromY} H${x} V${toY} H${right + 6}"></path>
<path class="head" d="M${right} ${toY} l7 -4 v8 z"></path></g>`
}
