import { SyntaxFault, scanTokens } from './statements.js'

/** Replaces a literal. */
const omitted = '…'

/**
 * The tokens that are literals for PostgreSQL's scanner: strings of all kinds, dollar-quoted ones, and
 * numbers.
 */
const isLiteral = (name: string, text: string): boolean =>
  /^(FCONST|ICONST)$/.test(name) ||
  /^(e|b|x|n|u&)?'/i.test(text) ||
  (name !== 'PARAM' && text.startsWith('$'))

/**
 * A statement on one line, for display, without comments and without literals, which may be personal data. If
 * the server has cut the statement inside a literal, the rest is left out. If it cannot be scanned, all of it
 * is left out.
 */
export async function withoutLiterals(text: string): Promise<string> {
  const tokens = await tokensOfCut(text)
  if (tokens === null) return text.trim() === '' ? '' : omitted
  let shown = ''
  let end = 0
  for (const { name, text: word, start, end: next } of tokens) {
    const gap = start > end ? ' ' : ''
    end = next
    if (name === 'SQL_COMMENT' || name === 'C_COMMENT') {
      shown = `${shown.trimEnd()} `
      continue
    }
    const literal = isLiteral(name, word)
    shown += (shown.endsWith(' ') ? '' : gap) + (literal ? omitted : word)
    // with standard_conforming_strings off the backslash escapes the quote, and the string continues
    if (literal && /^'.*\\'$/s.test(word)) break
  }
  return shown.trim()
}

/**
 * The tokens of a statement that may end inside a string, a quoted name or a comment. Null if it cannot be
 * scanned.
 */
async function tokensOfCut(text: string) {
  const tags = new Set(
    [...text.matchAll(/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/g)].map(m => m[0]),
  )
  for (const close of ['', "'", "''", '"', '*/', '*/*/', ...tags]) {
    try {
      return await scanTokens(text + close)
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
    }
  }
  return null
}
