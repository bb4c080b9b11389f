import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { withoutZeros } from '../../model/versions.js'
import { type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'
import { badLayout, markedParts, markersOf } from '../marked_parts.js'
import { type NumberedFile, readNumbered } from '../numbered_files.js'

const gooseNames = { pattern: /^(\d+)_(.*)\.sql$/, wanted: '<number>_name.sql', compares: 'numbers' } as const
const gooseMarkers = {
  requiredBy: 'goose',
  up: { line: '-- +goose Up', pattern: /^[ \t]*--[ \t]*\+goose[ \t]+up\b([^\r\n]*)/gim },
  down: { line: '-- +goose Down', pattern: /^[ \t]*--[ \t]*\+goose[ \t]+down\b([^\r\n]*)/gim },
}

/** `-- +goose Up` and `-- +goose Down` in one file, compared as numbers. */
export default {
  title: 'goose',
  folders: ['db/migrations', 'migrations', 'sql/schema', 'internal/database/migrations'],
  detect: folder => (folder.someText(/^[ \t]*--[ \t]*\+goose[ \t]+up\b/im) ? 50 : 0),
  read: folder =>
    readNumbered(
      folder,
      gooseNames,
      file => readGoose(folder, file),
      () =>
        folder.files
          .filter(name => /^\d+_.*(?<!_test)\.go$/.test(name))
          .map(name => finding('NOT_SQL', `${folder.shown}${name}`, { tool: 'goose' })),
    ),
} satisfies Layout

function readGoose(folder: Folder, { file, version: digits, slug }: NumberedFile): LaidOut {
  const { path, text: source } = folder.file(file)
  const { up, down, faults } = markedParts(source, path, gooseMarkers)
  const [replaced] = markersOf(source, /^[ \t]*--[ \t]*\+goose[ \t]+envsub[ \t]+on\b([^\r\n]*)/gim)
  if (replaced) {
    const reason = 'goose would put values of the environment in (ENVSUB ON)'
    faults.push(badLayout(source, path, reason, replaced.start))
  }
  // applies to both directions
  const isApart = /^[ \t]*--[ \t]*\+goose[ \t]+no[ \t]+transaction\b/im.test(source)
  const transaction = isApart ? 'each' : 'as-needed'
  const version = withoutZeros(digits)
  return {
    name: file.slice(0, -4),
    title: titleOf(slug),
    path,
    text: up,
    transaction,
    down: down === null ? null : { path, text: down, transaction },
    key: version,
    faults,
    foreign: foreignFile({ version, description: slug, script: file, source }),
  }
}
