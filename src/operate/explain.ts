import { codes, hazards } from '../model/codes.js'
import { UsageError } from '../model/failure.js'
import { emptyReport, type Report } from '../model/report.js'
import { nearest } from '../model/similar.js'

/** A code looked up; its words are the renderer's. Throws USAGE with the nearest names. */
export function explain(code: string): Report {
  const name = code.toUpperCase().replaceAll('-', '_')
  const isFinding = Object.hasOwn(codes, name)
  if (!isFinding && !Object.hasOwn(hazards, name)) {
    const all = [...Object.keys(codes), ...Object.keys(hazards)]
    const near = all.filter(k => k.split('_').some(part => part.length > 3 && name.includes(part)))
    const meant = nearest(name, all)
    throw new UsageError(code, 'there is no finding and no hazard of that name', {
      known: near.slice(0, 8),
      meant: meant && `rethread explain ${meant}`,
    })
  }
  return {
    ...emptyReport('explain'),
    tables: [{ title: name, columns: ['kind'], rows: [[isFinding ? 'finding' : 'hazard']] }],
  }
}
