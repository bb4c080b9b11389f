import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { withoutZeros } from '../../model/versions.js'
import { type Layout, titleOf } from '../layout.js'
import { readNumbered } from '../numbered_files.js'

const golangBackName = /^([0-9]+)_.*\.down\.sql$/
const golangNames = {
  pattern: /^([0-9]+)_(.*)\.up\.sql$/,
  wanted: '<number>_name.up.sql',
  compares: 'numbers',
  beside: golangBackName,
} as const

/** `000001_name.up.sql` and `.down.sql`, compared as numbers. */
export default {
  title: 'golang-migrate',
  folders: ['db/migrations', 'migrations', 'db/migration', 'internal/db/migrations'],
  detect: folder => (folder.sql.some(name => /^\d+_.*\.up\.sql$/.test(name)) ? 45 : 0),
  read: folder => {
    // the tool finds the rollback by its version only
    const downs = new Map(
      folder.sql.flatMap(name => {
        const version = golangBackName.exec(name)?.[1]
        return version === undefined ? [] : [[withoutZeros(version), name]]
      }),
    )
    return readNumbered(
      folder,
      golangNames,
      ({ file, version: digits, slug }) => {
        const { path, text: source } = folder.file(file)
        const version = withoutZeros(digits)
        const down = downs.get(version)
        return {
          name: file.slice(0, -'.up.sql'.length),
          title: titleOf(slug),
          path,
          text: source,
          transaction: 'as-needed',
          down: down === undefined ? null : { ...folder.file(down), transaction: 'as-needed' },
          key: version,
          faults: [],
          foreign: foreignFile({ version, description: slug, script: file, source }),
        }
      },
      migrations => {
        const versions = new Set(migrations.map(m => m.key))
        return [...downs]
          .filter(([version]) => !versions.has(version))
          .map(([, name]) => finding('ORPHAN_ROLLBACK', `${folder.shown}${name}`, {}, 'warn'))
      },
    )
  },
} satisfies Layout
