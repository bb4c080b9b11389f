import { partText } from '../model/table_name.js'
import { SyntaxFault, scanTokens } from './statements.js'

/** The name of a schema and of something in it, neither folded nor quoted. */
export interface QualifiedName {
  schema: string
  name: string
}

const unquoted = (token: string): string =>
  token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase()

const textOrNull = (schema: string | null): string | null => (schema === null ? null : partText(schema))

/** A word that may be a name: an identifier, or a keyword that is one here. */
const isName = (token: { name: string; keyword: boolean }): boolean => token.name === 'IDENT' || token.keyword

/**
 * Every pair of names with a dot between in a text of SQL, function bodies and literals included. Not all of
 * them are objects: columns look alike.
 */
export async function pairsIn(text: string): Promise<QualifiedName[]> {
  const found: QualifiedName[] = []
  await movedNames(text, (schema, name) => {
    found.push({ schema, name })
    return null
  })
  return found
}

/**
 * A text of SQL in which qualified names are in other schemas: token by token, inside function bodies and
 * literals too. `schemaFor` gives the other schema, null where a name stays as it is.
 */
export async function movedNames(
  text: string,
  schemaFor: (schema: string, name: string) => string | null,
): Promise<string> {
  const tokens = (await scanTokens(text)).filter(t => t.name !== 'SQL_COMMENT' && t.name !== 'C_COMMENT')
  let out = ''
  let at = 0
  for (const [i, token] of tokens.entries()) {
    const raw = text.slice(token.start, token.end)
    let now: string | null = null
    const [dot, name] = [tokens[i + 1], tokens[i + 2]]
    if (isName(token) && tokens[i - 1]?.text !== '.' && dot?.text === '.' && name && isName(name))
      now = textOrNull(schemaFor(unquoted(raw), unquoted(text.slice(name.start, name.end))))
    else if (token.name === 'SCONST') now = await movedInLiteral(raw, schemaFor)
    if (now === null) continue
    out += text.slice(at, token.start) + now
    at = token.end
  }
  return out + text.slice(at)
}

/** A body in dollars is SQL again; other literals hold names of objects, or prose. */
async function movedInLiteral(raw: string, schemaFor: (schema: string, name: string) => string | null) {
  const body = /^(\$\w*\$)([\s\S]*)\1$/.exec(raw)
  if (body)
    try {
      return body[1] + (await movedNames(body[2]!, schemaFor)) + body[1]
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
    }
  return raw.replace(pairInLiteral, (whole, schema: string, name: string) => {
    const moved = textOrNull(schemaFor(unquoted(schema), unquoted(name)))
    return moved === null ? whole : `${moved}.${name}`
  })
}

/** A qualified name as a literal has it: `'chat."Message"'::regclass`. */
const pairInLiteral = /(?<![\w."])("(?:[^"\n]|"")+"|[a-z_]\w*)\.("(?:[^"\n]|"")+"|[a-z_]\w*)/g
