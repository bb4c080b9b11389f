import { SyntaxFault, scanTokens } from './statements.js'

/** What is written in the place of a literal. */
const omitted = '…'

/** Literals as PostgreSQL's scanner writes them: strings of all kinds, dollar-quoted ones, and numbers. */
const isLiteral = (name: string, text: string): boolean =>
  /^(FCONST|ICONST)$/.test(name) ||
  /^(e|b|x|n|u&)?'/i.test(text) ||
  (name !== 'PARAM' && text.startsWith('$'))

/**
 * A statement of somebody else on one line, to be shown: without its literals, which may be people's data,
 * and without its comments. A statement that the server has cut within a literal loses the rest of it; one
 * that the scanner cannot read is left out whole.
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
    // for a session that takes a backslash as an escape, such a string goes on
    if (literal && /^'.*\\'$/s.test(word)) break
  }
  return shown.trim()
}

/** The tokens of a statement that may end within a string, a quoted name or a comment; null where none. */
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
