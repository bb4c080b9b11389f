import type { Root } from '../database/types.js'
import type { Mapping } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import { policyTexts } from './application_tables.sql.js'
import { idColumnOf } from './fit_columns.js'
import { nobody, whyNoIdentity } from './identity.sql.js'
import { personType } from './own_roles.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { settingsRead, settingValue } from './settings_read.js'

const identityRole = { role: 'identity', label: 'identity', rivals: [], renamed: true }

/**
 * What a person has said of who asks, as SQL; `none` is nobody. Open where this database cannot read it as
 * somebody's id: a copy with it would fail at its first function. Null where nothing was said.
 */
export async function readIdentity(
  sql: Root,
  found: Proposal,
  info: TrackInfo,
  given: Mapping,
): Promise<ProposedBinding | null> {
  const type = personType(found, info)
  if (typeof given.identity !== 'string' || type === null) return null
  const said = given.identity
  if (/^\s*none\s*$/i.test(said))
    return { ...identityRole, to: nobody(type), confidence: 'certain', because: 'as you said' }
  const fault = await whyNoIdentity(sql, said, type)
  return fault === null
    ? { ...identityRole, to: said, confidence: 'certain', because: 'as you said' }
    : {
        ...identityRole,
        to: null,
        confidence: 'open',
        because: `\`${said}\` is nothing that can be compared with ids of ${type} here (${fault}): give SQL for who asks, or none`,
      }
}

/** Who asks, where the ids of users are none of Supabase's: what the policies of the tables say. */
export async function identityBinding(
  sql: Root,
  found: Proposal,
  given: Mapping,
): Promise<ProposedBinding[]> {
  const users = found.tables.get('users')
  const key = users && idColumnOf(users)
  if (!key || key.base === 'uuid') return []
  if (typeof given.identity === 'string')
    return [{ ...identityRole, to: given.identity, confidence: 'certain', because: 'as you said' }]
  const cast = /^(bigint|integer)$/.test(key.base) ? `::${key.base}` : ''
  const as = (expression: string) => (cast ? `(${expression})${cast}` : expression)
  for (const text of await policyTexts(
    sql,
    [...found.tables.values()].map(t => t.table),
  )) {
    const [setting] = settingsRead(text)
    const said = /auth\.jwt\(\) ->> 'sub'/.test(text)
      ? "auth.jwt() ->> 'sub'"
      : setting && (setting.includes('->>') ? settingValue(setting) : `current_setting('${setting}', true)`)
    if (said)
      return [
        { ...identityRole, to: as(said), confidence: 'certain', because: 'policies of the tables say so' },
      ]
  }
  return [
    {
      ...identityRole,
      to: as("auth.jwt() ->> 'sub'"),
      confidence: 'likely',
      because: `ids of \`${users.table}\` are ${key.base}, and auth.uid() is a uuid`,
    },
  ]
}
