import { charsOf, scanTokens } from '../files/statements.js'

/** A token that is not a comment. */
export interface SqlToken {
  start: number
  end: number
  /** As the server reads a name: folded, or without its quotes. */
  name: string
  raw: string
  kind: string
}

/** A text and the replacements to make in it; positions are characters of the text. */
export interface Edits {
  text: string
  tokens: SqlToken[]
  /** Index of the token at or after the byte that a parse tree names. */
  at(byte: number | undefined): number
  /** Replaces what is between two positions; asked for twice it is done once. */
  replace(start: number, end: number, to: string): void
  /** The text with everything replaced. */
  apply(): string
}

const readName = (raw: string): string =>
  raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw.toLowerCase()

/** Opens a text for replacements. Throws SyntaxFault where the scanner can't read it. */
export async function editsOf(text: string): Promise<Edits> {
  const chars = charsOf(text, Buffer.from(text))
  const tokens = (await scanTokens(text))
    .filter(t => t.name !== 'SQL_COMMENT' && t.name !== 'C_COMMENT')
    .map(t => {
      const raw = text.slice(t.start, t.end)
      return { start: t.start, end: t.end, raw, name: readName(raw), kind: t.name }
    })
  const list: { start: number; end: number; to: string }[] = []
  return {
    text,
    tokens,
    at(byte) {
      const char = chars(byte ?? 0)
      const index = tokens.findIndex(t => t.start >= char)
      return index < 0 ? tokens.length : index
    },
    replace(start, end, to) {
      if (!list.some(e => e.start === start && e.end === end && e.to === to)) list.push({ start, end, to })
    },
    apply() {
      // what is inserted before a place comes before what is replaced there
      list.sort((a, b) => a.start - b.start || a.end - b.end)
      let out = ''
      let at = 0
      for (const edit of list) {
        if (edit.start < at) throw new Error(`two replacements overlap at ${edit.start}: ${edit.to}`)
        out += text.slice(at, edit.start) + edit.to
        at = edit.end
      }
      return out + text.slice(at)
    },
  }
}

/** Index of the next token of that name from an index on; -1 where there is none before `end`. */
export function nextNamed(edits: Edits, name: string, from: number, end = edits.tokens.length): number {
  for (let i = from; i < end; i++) if (edits.tokens[i]!.name === name) return i
  return -1
}

/** Index of the bracket that closes the one at an index. */
export function closing(edits: Edits, open: number): number {
  let depth = 0
  for (let i = open; i < edits.tokens.length; i++) {
    if (edits.tokens[i]!.raw === '(') depth++
    if (edits.tokens[i]!.raw === ')' && --depth === 0) return i
  }
  return edits.tokens.length - 1
}

/** The items of a list in brackets that opens at an index, as first and last token. */
export function itemsIn(edits: Edits, open: number): { first: number; last: number }[] {
  const end = closing(edits, open)
  const items: { first: number; last: number }[] = []
  let first = open + 1
  let depth = 0
  for (let i = open + 1; i <= end; i++) {
    const { raw } = edits.tokens[i]!
    if (raw === '(' || raw === '[') depth++
    if ((raw === ')' || raw === ']') && i < end) depth--
    if (i === end || (raw === ',' && depth === 0)) {
      items.push({ first, last: i - 1 })
      first = i + 1
    }
  }
  return items
}
