import { Failures } from '../model/failure.js'
import { finding } from '../model/report.js'
import type { Planted } from './planted.sql.js'

/**
 * Throws FOREIGN_OBJECT for objects in the tool's schemas that others own or may change. A role that may
 * create schemas could create one of them before the first run, and its functions would run with the rights
 * of the person who runs rethread.
 */
export function refusePlanted(planted: Planted[]): void {
  // if the schema itself is reported, objects of the same owner are not listed
  const schemas = planted.filter(p => p.kind === 'schema')
  const found = planted.filter(
    p => p.kind === 'schema' || !schemas.some(s => ` ${p.name}`.includes(` ${s.name}.`)),
  )
  if (found.length > 0)
    throw new Failures(
      found
        .slice(0, mostShownPlanted)
        .map(({ kind, name, owner, role, grants }) =>
          finding('FOREIGN_OBJECT', `${kind} ${name}`, { kind, name, owner, role, grants }),
        ),
    )
}

/** Most objects that a report shows. */
const mostShownPlanted = 10
