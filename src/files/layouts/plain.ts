import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { withoutZeros } from '../../model/versions.js'
import { type Layout, titleOf } from '../layout.js'
import { readNumbered } from '../numbered_files.js'

/** Usual names for a rollback file beside a migration. */
const plainBackName = /^(\d+.*?)[-_.](?:down|rollback|undo|revert)\.sql$/i
const plainNames = {
  pattern: /^(\d+)(?:[-_.\s]*(.*))?\.sql$/,
  wanted: '<number>_name.sql',
  compares: 'numbers',
  beside: plainBackName,
} as const

/** Numbered SQL files of no particular tool: `001_name.sql`, compared as numbers. */
export default {
  title: 'numbered SQL files',
  folders: ['db/migrations', 'migrations', 'database/migrations', 'sql/migrations', 'db/migrate', 'sql'],
  detect: folder => (folder.sql.some(name => plainNames.pattern.test(name)) ? 10 : 0),
  read: folder => {
    const downs = new Map(
      folder.sql.flatMap(name => {
        const base = plainBackName.exec(name)?.[1]
        return base === undefined ? [] : [[base, name]]
      }),
    )
    return readNumbered(
      folder,
      plainNames,
      ({ file, version, slug }) => {
        const { path, text: source } = folder.file(file)
        const base = file.slice(0, -4).replace(/[-_.]up$/i, '')
        const down = downs.get(base)
        downs.delete(base)
        return {
          name: base,
          title: titleOf(slug) || base,
          path,
          text: source,
          transaction: 'as-needed',
          down: down === undefined ? null : { ...folder.file(down), transaction: 'as-needed' },
          key: withoutZeros(version),
          faults: [],
          foreign: foreignFile({ version, description: slug, script: file, source }),
        }
      },
      () => [...downs.values()].map(name => finding('ORPHAN_ROLLBACK', `${folder.shown}${name}`, {}, 'warn')),
    )
  },
} satisfies Layout
