/** Roles of Supabase's API, for which the tracks are written. */
export const apiRoles: readonly string[] = ['anon', 'authenticated', 'service_role']

/** A statement that grants privileges on objects, as a file has them, to a role. */
export const grantStatement = (privileges: string, objects: string, role: string): string =>
  `grant ${privileges} on ${objects} to ${role};`

/**
 * A policy that lets a role reach every row of a table of the track's, as it does with those of the
 * application. Its name, as a literal, is in the condition too, so that it lets in nobody who is added
 * to TO; without one it is for everybody.
 */
export const allRowsPolicy = (name: string, table: string, role: string, is: string | null): string => {
  const condition = is === null ? 'true' : `(select pg_catalog.pg_has_role(current_user, ${is}, 'usage'))`
  return `create policy ${name} on ${table} to ${role}\n  using (${condition}) with check (${condition});`
}

/** True where row security binds who acts, and who acts is none of the roles that reach every row. */
export const boundByPolicies = (active: string, roles: string[]): string =>
  [active, ...roles.map(r => `not pg_catalog.pg_has_role(current_user, ${r}, 'usage')`)].join(' and ')
