import { blankOf } from './layout.js'

/** White space and comments, as the server skips them between statements. */
const between = /(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/y
/** Settings that may come before BEGIN and belong to the transaction: `set lock_timeout = '2s';`. */
const setting = /set\s+(?!transaction\b|session\s+characteristics\b)[^;'"$]*(?:'[^']*'[^;'"$]*)*;/iy
const beginning = /(?:begin(?:\s+(?:work|transaction))?|start\s+transaction)\s*;/iy
const ending = /(?:^|[;\s])((?:commit|end)(?:\s+(?:work|transaction))?\s*;?)\s*$/i

/**
 * For a file that is one transaction from its first to its last statement: the text with BEGIN and COMMIT
 * replaced by blanks, because the step has its own transaction. Null for any other file. `lint` reports other
 * transaction commands.
 */
export function withoutOwnTransaction(text: string): string | null {
  const start = text.startsWith('\uFEFF') ? 1 : 0
  let at = skip(between, text, start)
  for (;;) {
    const behind = skip(setting, text, at)
    if (behind === at) break
    at = skip(between, text, behind)
  }
  const begun = skip(beginning, text, at)
  if (begun === at) return null
  const end = withoutTrailingComments(text)
  const last = ending.exec(text.slice(begun, end))
  if (!last) return null
  const from = begun + last.index + last[0].indexOf(last[1]!)
  // COMMIT may be in a comment
  const line = text.slice(text.lastIndexOf('\n', from) + 1, from)
  if (line.includes('--')) return null
  return (
    text.slice(0, at) +
    blankOf(text.slice(at, begun)) +
    text.slice(begun, from) +
    blankOf(text.slice(from, end)) +
    text.slice(end)
  )
}

/** The end of a match of a sticky pattern at a position; the position itself if it does not match. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

/** The length of a text without comment lines and white space at its end. */
function withoutTrailingComments(text: string): number {
  let end = text.trimEnd().length
  for (;;) {
    const from = text.lastIndexOf('\n', end - 1) + 1
    if (!text.slice(from, end).trimStart().startsWith('--')) return end
    end = text.slice(0, from).trimEnd().length
  }
}
