import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'
import { markedParts } from '../marked_parts.js'
import { type NumberedFile, readNumbered } from '../numbered_files.js'

const nodePgNames = {
  pattern: /^(\d+)[-_](.*)\.sql$/,
  wanted: '<timestamp>_name.sql',
  compares: 'numbers',
} as const
const nodePgMarkers = {
  requiredBy: null,
  up: { line: '-- Up Migration', pattern: /^[ \t]*--[\s-]*up[ \t]+migration\b([^\r\n]*)/gim },
  down: { line: '-- Down Migration', pattern: /^[ \t]*--[\s-]*down[ \t]+migration\b([^\r\n]*)/gim },
}

/** `-- Up Migration` and `-- Down Migration` in one file, compared as numbers. */
export default {
  title: 'node-pg-migrate',
  folders: ['migrations', 'db/migrations'],
  detect: folder => (folder.someText(/^[ \t]*--[\s-]*up[ \t]+migration\b/im) ? 48 : 0),
  read: folder =>
    readNumbered(
      folder,
      nodePgNames,
      file => readNodePgMigrate(folder, file),
      () =>
        folder.files
          .filter(name => /^\d+[-_].*\.(?:[cm]?js|[cm]?ts)$/.test(name) && !name.endsWith('.d.ts'))
          .map(name => finding('NOT_SQL', `${folder.shown}${name}`, { tool: 'node-pg-migrate' })),
    ),
} satisfies Layout

function readNodePgMigrate(folder: Folder, { file, version, slug }: NumberedFile): LaidOut {
  const { path, text: source } = folder.file(file)
  const { up, down, faults } = markedParts(source, path, nodePgMarkers)
  const name = file.slice(0, -4)
  return {
    name,
    title: titleOf(slug),
    path,
    text: up,
    transaction: 'as-needed',
    down: down === null ? null : { path, text: down, transaction: 'as-needed' },
    // the tool records names, so two files with the same number are two migrations
    key: file,
    faults,
    foreign: foreignFile({ version, description: slug, script: name, source }),
  }
}
