import { type Mapping, noTable, type Roles } from '../model/mapping.js'
import { namesIn } from '../model/table_name.js'
import { companion, type RoleHints } from './left_out.js'
import { bindingOf } from './names.js'
import { type Proposal, shortName } from './propose.js'

/** What is needed to see what a mapping leaves alone. */
interface MappingLooked {
  /** What a person has named, or said is none. */
  given: Mapping
  hints: RoleHints
  roles: Roles
  /** The names that the track itself makes, by table. */
  own: Map<string, Set<string>>
  /** Proposes names for a mapping. */
  propose: (given: Mapping) => Proposal
}

/**
 * By role of which a person says that there is none: the table or column that the database has for it
 * nevertheless, or that may be it.
 */
export function passedOver({ given, hints, roles, own, propose }: MappingLooked): Record<string, string> {
  const found: Record<string, string> = {}
  for (const role of Object.keys(given)) {
    if (given[role] !== null || (hints[role] && companion(hints[role]) !== null)) continue
    const binding = propose(withoutNone(given, hints, role)).bindings.find(b => b.role === role)
    const name = binding && (binding.to === null || binding.to === noTable ? binding.doubt : binding.to)
    if (name && !isMade(name, role, { given, roles, own })) found[role] = name
  }
  return found
}

/** A mapping that no longer says of a role, and of those that go along with it, that there is none. */
export const withoutNone = (given: Mapping, hints: RoleHints, role: string): Mapping =>
  Object.fromEntries(
    Object.entries(given).filter(([r]) => r !== role && !(hints[r] && companion(hints[r]) === role)),
  )

/** True for a table or column that the track itself makes. */
function isMade(
  name: string,
  role: string,
  { given, roles, own }: Pick<MappingLooked, 'given' | 'roles' | 'own'>,
) {
  const [entity, column] = role.split('.') as [string, string | undefined]
  const bare = namesIn(name)?.at(-1) ?? name
  if (column === undefined)
    return Object.entries(roles).some(([made, { table, new: isNew }]) => {
      const said = given[made]
      return isNew && shortName(typeof said === 'string' ? said : table) === name
    })
  return [...(own.get(roles[entity]!.table) ?? [])].some(
    made => (bindingOf(given[`${entity}.${made}`])?.column ?? made) === bare,
  )
}
