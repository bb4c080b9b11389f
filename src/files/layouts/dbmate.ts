import { foreignFile } from '../../model/foreign.js'
import { type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'
import { badLayout, markedParts } from '../marked_parts.js'
import { type NumberedFile, readNumbered } from '../numbered_files.js'

const dbmateNames = { pattern: /^(\d+)(.*)\.sql$/, wanted: '<timestamp>_name.sql', compares: 'text' } as const
const dbmateMarkers = {
  requiredBy: 'dbmate',
  up: { line: '-- migrate:up', pattern: /^--[ \t]*migrate:up\b([^\r\n]*)/gm },
  down: { line: '-- migrate:down', pattern: /^--[ \t]*migrate:down\b([^\r\n]*)/gm },
}

/** `-- migrate:up` and `-- migrate:down` in one file; dbmate sorts the names as texts. */
export default {
  title: 'dbmate',
  folders: ['db/migrations'],
  detect: folder => (folder.someText(/^--[ \t]*migrate:up\b/m) ? 50 : 0),
  read: folder => readNumbered(folder, dbmateNames, file => readDbmate(folder, file)),
} satisfies Layout

function readDbmate(folder: Folder, { file, version, slug }: NumberedFile): LaidOut {
  const { path, text: source } = folder.file(file)
  const { up, down, upMarker, downMarker, faults } = markedParts(source, path, dbmateMarkers)
  if (upMarker && !(downMarker && downMarker.start < upMarker.start)) {
    const above = source.slice(0, upMarker.start).replace(/^\uFEFF/, '')
    if (/^(?!\s*--)\s*\S/m.test(above))
      faults.unshift(badLayout(source, path, 'dbmate allows no statement above `-- migrate:up`', 0))
  }
  const transactionOf = (rest = '') => (/\btransaction:false\b/.test(rest) ? 'each' : 'as-needed')
  return {
    name: file.slice(0, -4),
    title: titleOf(slug) || file,
    path,
    text: up,
    transaction: transactionOf(upMarker?.rest),
    down: down === null ? null : { path, text: down, transaction: transactionOf(downMarker?.rest) },
    key: version,
    faults,
    foreign: foreignFile({ version, description: titleOf(slug), script: file, source }),
  }
}
