import { SyntaxFault } from '../files/statements.js'
import { quotedText, tableText } from '../model/table_name.js'
import { editsOf, inDollars } from './edits.js'
import type { Names } from './names.js'
import { type Rewrite, renameTable } from './scope.js'

/** Marks a placeholder of format() while the text is parsed. PostgreSQL accepts it as a letter. */
const formatPlace = '\uE000'
/** Marks a percent sign that format() writes. */
const writtenPercent = '\uE001'

/** Replaces placeholders of format() so that the SQL can be parsed: %I and %s by a name, %L by a literal. */
const parseable = (text: string): string =>
  text
    .replaceAll('%%', writtenPercent)
    .replace(/%((?:\d+\$)?)([sIL])/g, (_, n: string, kind: string) =>
      kind === 'L' ? `'${formatPlace}${n}${kind}'` : `${formatPlace}${n}${kind}`,
    )

/** The text with its placeholders. A percent sign in a name of this database is none to format(). */
const restored = (text: string, isFormat: boolean): string =>
  (isFormat ? text.replaceAll('%', '%%') : text)
    .replace(new RegExp(`'${formatPlace}((?:\\d+\\$)?L)'`, 'g'), '%$1')
    .replaceAll(formatPlace, '%')
    .replaceAll(writtenPercent, '%%')

/**
 * Rewrites the SQL in the literals of an EXECUTE, including those of format(). A text that does not parse is
 * a part of a statement: in it only schema-qualified names of tables are replaced.
 */
export async function rewriteDynamic(
  { edits, names }: Rewrite,
  rewrite: (text: string) => Promise<string>,
): Promise<void> {
  for (const [i, token] of edits.tokens.entries()) {
    if (token.kind !== 'SCONST') continue
    const isFormat = /^format$/i.test(edits.tokens[i - 2]?.raw ?? '')
    const [, dollars, body] = /^(\$\w*\$)([\s\S]*)\1$/.exec(token.raw) ?? []
    const text = body ?? token.raw.slice(1, -1).replaceAll("''", "'")
    if (!/^\s*\w+\s/.test(text)) continue
    const parsed = parseable(text)
    const now = restored((await unlessSyntax(rewrite(parsed))) ?? (await inPieces(names, parsed)), isFormat)
    if (now === text) continue
    const literal = dollars ? inDollars(dollars, now) : quotedText(now)
    edits.replace(token.start, token.end, literal)
  }
}

/** The rewritten text; null if it is no SQL. */
const unlessSyntax = <T>(made: Promise<T>): Promise<T | null> =>
  made.catch(error => {
    if (!(error instanceof SyntaxFault)) throw error
    return null
  })

async function inPieces(names: Names, text: string): Promise<string> {
  const edits = await unlessSyntax(editsOf(text))
  if (!edits) return text
  for (const [i, token] of edits.tokens.entries()) {
    const name = edits.tokens[i + 2]
    if (edits.tokens[i + 1]?.raw === '.' && name && edits.tokens[i - 1]?.raw !== '.')
      renameTable(
        { edits, names, probing: false, body: null },
        tableText({ schema: token.name, name: name.name }),
        i,
      )
  }
  return edits.apply()
}
