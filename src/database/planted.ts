import { Failures } from '../model/failure.js'
import { finding } from '../model/report.js'
import type { Planted } from './planted.sql.js'

/**
 * Throws FOREIGN_OBJECT for what others have put into the tool's schemas or may change there. A role that may
 * create schemas could make one of them before the first run, and what is in it would run with the rights
 * of whoever runs rethread.
 */
export function refusePlanted(planted: Planted[]): void {
  // the owner of a schema owns what matters in it: its objects need no line each
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

/** Objects that a report shows. */
const mostShownPlanted = 10
