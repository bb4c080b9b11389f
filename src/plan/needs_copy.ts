import { bindingOf } from '../adapt/names.js'
import { initCommand, type ReadProposal, readProposals } from '../adapt/read_proposal.js'
import type { Root } from '../database/types.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'

/**
 * FITS_AS_COPY for a track that comes with rethread, of a database that has all its tables and columns: some
 * hold values that only a copy of the track reads and writes. Null where it does as it is.
 */
export async function needsCopy(sql: Root, track: Track): Promise<Finding | null> {
  const [proposal] = await readProposals(sql, [track], { mapping: {}, zone: null })
  const columns = proposal ? columnsToConvert(proposal) : []
  const [first, ...more] = columns
  return first === undefined
    ? null
    : finding('FITS_AS_COPY', track.name, {
        columns: [first, ...more],
        command: initCommand(proposal!, null),
      })
}

/** Columns under the track's own names whose values are not of the kind that its files have. */
function columnsToConvert({ bindings, mapping }: ReadProposal): string[] {
  const isOwn = (role: string) => bindings.find(b => b.role === role.split('.')[0])?.renamed === false
  const read = Object.keys(mapping).filter(role => {
    const binding = role.includes('.') ? bindingOf(mapping[role]) : null
    return binding?.writes !== undefined && binding.column === role.split('.')[1]
  })
  const asked = bindings.flatMap(b => (b.isOfValues && b.confidence !== 'certain' ? [b.label] : []))
  return [...new Set([...read, ...asked])].filter(isOwn)
}
