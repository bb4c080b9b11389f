import { UsageError } from '../model/failure.js'
import { type Mapping, noTable } from '../model/mapping.js'
import { dottedText, nameAt } from '../model/table_name.js'

const shape =
  'it looks like chats=messages, chats=app."Messages", chats.workspace_id=org_id, or chats.user_id="authorId"'

/** Joins entries again that were split at a comma inside brackets. */
function joined(entries: string[]): string[] {
  const out: string[] = []
  for (const entry of entries) {
    const last = out.at(-1)
    if (last?.startsWith('identity=') && last.split('(').length > last.split(')').length)
      out[out.length - 1] = `${last}, ${entry}`
    else out.push(entry)
  }
  return out
}

/**
 * Reads `chats=messages`, `auth.users=app.users` or `chats.workspace_id="orgId"`: the name in the track's
 * files, and the name in the database. Throws USAGE.
 */
export function readMap(entries: string[]): Mapping {
  const mapping: Mapping = {}
  for (const entry of joined(entries)) {
    const [, left, right] = /^([^=]+)=([\s\S]+)$/.exec(entry) ?? []
    if (left === undefined || right === undefined) throw new UsageError(`--map ${entry}`, shape)
    if (left === 'identity') {
      mapping.identity = right
      continue
    }
    const from = nameAt(left)
    const to = nameAt(right.replace(/"[^"]*"|[\w$]*[A-Z][\w$]*/g, p => (p.startsWith('"') ? p : `"${p}"`)))
    if (from?.rest !== '' || !to || to.rest !== '') throw new UsageError(`--map ${entry}`, shape)
    // a schema on the left is optional: no track has two tables with the same name
    const parts = /^(public|auth)$/.test(from.parts[0]!) ? from.parts.slice(1) : from.parts
    if (parts.length > 2 || (parts.length === 2 && to.parts.length > 1) || to.parts.length > 2)
      throw new UsageError(`--map ${entry}`, shape)
    // a table of that name is named with its schema, a column in quotes
    if (right === noTable) mapping[parts.join('.')] = null
    else mapping[parts.join('.')] = parts.length === 2 ? { column: to.parts[0]! } : dottedText(to.parts)
  }
  return mapping
}

/** Reads `chats.role=0:user,1:assistant`: the meaning of a column's values. Throws USAGE. */
export function readMapValues(entries: string[]): Record<string, string> {
  const values: Record<string, string> = {}
  for (const entry of entries) {
    const [, role, said] = /^(\w+\.\w+)=(\S.*)$/.exec(entry) ?? []
    if (role === undefined || said === undefined || values[role] !== undefined)
      throw new UsageError(
        `--map-values ${entry}`,
        'it looks like chats.role=0:user,1:assistant, once for each column',
      )
    values[role] = said
  }
  return values
}
