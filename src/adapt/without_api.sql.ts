/** The roles of Supabase's API, which the shipped tracks use. */
export const apiRoles: readonly string[] = ['anon', 'authenticated', 'service_role']

/** A GRANT statement. */
export const grantStatement = (privileges: string, objects: string, role: string): string =>
  `grant ${privileges} on ${objects} to ${role};`

/**
 * A policy that lets a role reach every row of a table of the track, as it can in the application's tables.
 * `is` is the role's name as a literal. It is repeated in the condition, so that a role that is added to TO
 * later gets no rows. Without it the policy is for everybody.
 */
export const allRowsPolicy = (name: string, table: string, role: string, is: string | null): string => {
  const condition = is === null ? 'true' : `(select pg_catalog.pg_has_role(current_user, ${is}, 'usage'))`
  return `create policy ${name} on ${table} to ${role}\n  using (${condition}) with check (${condition});`
}

/** True if row security applies to the current role and it is none of the roles that reach every row. */
export const boundByPolicies = (active: string, roles: string[]): string =>
  [active, ...roles.map(r => `not pg_catalog.pg_has_role(current_user, ${r}, 'usage')`)].join(' and ')
