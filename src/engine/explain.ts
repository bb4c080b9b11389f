import { codes, hazards } from '../model/codes.js'
import { Failure } from '../model/failure.js'
import { emptyReport, type Report } from '../model/report.js'

/** A code looked up; its words are the renderer's. Throws USAGE with the nearest names. */
export function explain(code: string): Report {
  const name = code.toUpperCase().replaceAll('-', '_')
  const isFinding = Object.hasOwn(codes, name)
  if (!isFinding && !Object.hasOwn(hazards, name)) {
    const near = [...Object.keys(codes), ...Object.keys(hazards)].filter(k =>
      k.split('_').some(part => part.length > 3 && name.includes(part)),
    )
    throw new Failure('USAGE', code, {
      reason: 'there is no finding and no hazard of that name',
      known: near.slice(0, 8),
    })
  }
  return {
    ...emptyReport('explain'),
    tables: [{ title: name, columns: ['kind'], rows: [[isFinding ? 'finding' : 'hazard']] }],
  }
}
