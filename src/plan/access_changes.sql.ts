import { type Node, strings } from '../files/statements.js'
import { quotedPart } from '../model/table_name.js'

/** A policy of this name that nobody is asked about who reads, on a table of another name. */
export const stubOfPolicy = (name: string, table: string): string =>
  `create policy ${quotedPart(name)} on ${table} for insert with check (true)`

/** Commands of ALTER TABLE that switch row security: what is written, and what it is then. */
export const rowSecuritySwitches: Record<
  string,
  { text: string; sets: { rowSecurity: boolean } | { forced: boolean } }
> = {
  AT_EnableRowSecurity: { text: 'enable row level security', sets: { rowSecurity: true } },
  AT_DisableRowSecurity: { text: 'disable row level security', sets: { rowSecurity: false } },
  AT_ForceRowSecurity: { text: 'force row level security', sets: { forced: true } },
  AT_NoForceRowSecurity: { text: 'no force row level security', sets: { forced: false } },
}

/** A command of `rowSecuritySwitches` for a table. */
export const switchText = (table: string, command: string): string =>
  `alter table ${table} ${rowSecuritySwitches[command]!.text}`

/** A new owner for a table; `role` is as the parser gives it. */
export const ownerText = (table: string, role: Node): string =>
  `alter table ${table} owner to ${granteeOf(role)}`

/** What GRANT and REVOKE of these privileges say of reading; empty where nothing. */
export const readRights = (privileges: Node[] | undefined): string[] =>
  (privileges ?? [{ AccessPriv: {} }]).flatMap(({ AccessPriv: p }: Node) => {
    if (p.priv_name && p.priv_name.toLowerCase() !== 'select') return []
    const columns = strings(p.cols).map(quotedPart).join(', ')
    return [columns ? `select (${columns})` : 'select']
  })

/** GRANT or REVOKE, as the parser gives it, of rights on a table. */
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
