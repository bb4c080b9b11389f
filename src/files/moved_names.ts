import { partText } from '../model/table_name.js'
import { SyntaxFault, scanTokens } from './statements.js'

/** A schema and the name of an object in it, without quotes. */
export interface QualifiedName {
  schema: string
  name: string
}

/** A name as a key. */
export const nameKeyOf = ({ schema, name }: QualifiedName): string => `${schema}\0${name}`

/** The names without their repetitions, and without whatever is said of them besides. */
export const uniqueNames = (names: QualifiedName[]): QualifiedName[] => [
  ...new Map(names.map(({ schema, name }) => [nameKeyOf({ schema, name }), { schema, name }])).values(),
]

const unquoted = (token: string): string =>
  token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase()

const textOrNull = (schema: string | null): string | null => (schema === null ? null : partText(schema))

/** A word that may be a name: an identifier or a keyword. */
const isName = (token: { name: string; keyword: boolean }): boolean => token.name === 'IDENT' || token.keyword

/**
 * Every pair of names with a dot between them, also in function bodies and literals. Some are columns, which
 * look the same.
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
 * Replaces the schemas of qualified names, token by token, also in function bodies and literals. `schemaFor`
 * returns the new schema, or null for a name that stays.
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

/** A dollar-quoted body is SQL. Other literals contain names of objects, or prose. */
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
