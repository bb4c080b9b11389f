import { type Node, strings } from '../files/statements.js'
import { quotedPart } from '../model/table_name.js'

/**
 * Creates a policy with this name on another table. It is for INSERT only, so reading does not depend on
 * it.
 */
export const stubOfPolicy = (name: string, table: string): string =>
  `create policy ${quotedPart(name)} on ${table} for insert with check (true)`

/**
 * The ALTER TABLE commands that switch row security: the text of the command, and the state that it sets.
 */
export const rowSecuritySwitches: Record<
  string,
  { text: string; sets: { rowSecurity: boolean } | { forced: boolean } }
> = {
  AT_EnableRowSecurity: { text: 'enable row level security', sets: { rowSecurity: true } },
  AT_DisableRowSecurity: { text: 'disable row level security', sets: { rowSecurity: false } },
  AT_ForceRowSecurity: { text: 'force row level security', sets: { forced: true } },
  AT_NoForceRowSecurity: { text: 'no force row level security', sets: { forced: false } },
}

/** ALTER TABLE with a command of `rowSecuritySwitches`. */
export const switchText = (table: string, command: string): string =>
  `alter table ${table} ${rowSecuritySwitches[command]!.text}`

/** ALTER TABLE ... OWNER TO. `role` is a node of the parse tree. */
export const ownerText = (table: string, role: Node): string =>
  `alter table ${table} owner to ${granteeOf(role)}`

/** The SELECT rights among the privileges of a GRANT or REVOKE, as SQL. Empty if it names none. */
export const readRights = (privileges: Node[] | undefined): string[] =>
  (privileges ?? [{ AccessPriv: {} }]).flatMap(({ AccessPriv: p }: Node) => {
    if (p.priv_name && p.priv_name.toLowerCase() !== 'select') return []
    const columns = strings(p.cols).map(quotedPart).join(', ')
    return [columns ? `select (${columns})` : 'select']
  })

/** GRANT or REVOKE of rights on a table. `node` is the statement's node of the parse tree. */
export function rightsText(table: string, rights: string[], node: Node): string {
  const roles = node.grantees.map((r: Node) => granteeOf(r.RoleSpec)).join(', ')
  return node.is_grant
    ? `grant ${rights.join(', ')} on ${table} to ${roles}`
    : `revoke ${rights.join(', ')} on ${table} from ${roles} cascade`
}

const granteeOf = ({ roletype, rolename }: Node): string =>
  roletype === 'ROLESPEC_CSTRING'
    ? quotedPart(rolename)
    : roletype === 'ROLESPEC_PUBLIC'
      ? 'public'
      : 'current_user'
