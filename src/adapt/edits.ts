import { charsOf, scanTokens } from '../files/statements.js'

/** A token that is not a comment. */
export interface SqlToken {
  start: number
  end: number
  /** The name as the server reads it: in lower case, or without its quotes. */
  name: string
  raw: string
  kind: string
}

/** A text with the replacements to make in it. Positions are in characters of the text. */
export interface Edits {
  text: string
  tokens: SqlToken[]
  /** Index of the first token at or after a byte position of the parse tree. */
  at(byte: number | undefined): number
  /** Replaces the text between two positions. A repeated request has no effect. */
  replace(start: number, end: number, to: string): void
  /** The text with all replacements made. */
  apply(): string
}

const readName = (raw: string): string =>
  raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw.toLowerCase()

/** Prepares a text for replacements. Throws SyntaxFault if it cannot be scanned. */
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
      // an insertion at a position comes before a replacement that starts there
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

/** Index of the next token with this name, from `from` up to `end`; -1 if there is none. */
export function nextNamed(edits: Edits, name: string, from: number, end = edits.tokens.length): number {
  for (let i = from; i < end; i++) if (edits.tokens[i]!.name === name) return i
  return -1
}

/** Index of the bracket that closes the bracket at an index. */
export function closing(edits: Edits, open: number): number {
  let depth = 0
  for (let i = open; i < edits.tokens.length; i++) {
    if (edits.tokens[i]!.raw === '(') depth++
    if (edits.tokens[i]!.raw === ')' && --depth === 0) return i
  }
  return edits.tokens.length - 1
}

/** The items of the bracketed list that opens at an index, each as its first and last token. */
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

/** A text in dollar quotes: those that it had, or others if a name of the database has them within. */
export function inDollars(quote: string, text: string): string {
  let now = quote
  for (let n = 1; text.includes(now); n++) now = `$body${n}$`
  return `${now}${text}${now}`
}
