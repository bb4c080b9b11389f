import { foreignFile } from '../../model/foreign.js'
import { finding } from '../../model/report.js'
import { type LaidOut, type Layout, titleOf } from '../layout.js'

/** `migrations/<timestamp>_name/migration.sql`, in the order of the folders' names. */
export default {
  title: 'Prisma Migrate',
  folders: ['prisma/migrations', 'prisma/schema/migrations'],
  detect: folder => {
    if (folder.files.includes('migration_lock.toml')) return 55
    const own = folder.folders.map(name => folder.folder(name)).filter(f => f.files.includes('migration.sql'))
    return own.length > 0 && !own.some(f => f.files.includes('snapshot.json')) ? 45 : 0
  },
  read: folder => {
    const migrations = folder.folders
      .filter(name => folder.folder(name).files.includes('migration.sql'))
      .map((name): LaidOut => {
        const own = folder.folder(name)
        const { path, text: source } = own.file('migration.sql')
        const [, version = '', slug = name] = /^(\d+)_(.*)$/.exec(name) ?? []
        return {
          name,
          title: titleOf(slug),
          path,
          text: source,
          transaction: 'as-needed',
          down: own.files.includes('down.sql') ? { ...own.file('down.sql'), transaction: 'as-needed' } : null,
          // Prisma records the whole name
          key: name,
          faults: [],
          foreign: foreignFile({ version, description: slug, script: name, source }),
        }
      })
    const lock = folder.files.includes('migration_lock.toml') ? folder.text('migration_lock.toml') : ''
    const provider = /^\s*provider\s*=\s*"([^"]*)"/m.exec(lock)?.[1]
    const faults = folder.folders
      .filter(name => /^\d+_/.test(name) && !folder.folder(name).files.includes('migration.sql'))
      .map(name => finding('BAD_LAYOUT', `${folder.shown}${name}/`, { reason: 'it has no migration.sql' }))
    if (provider && !/^(postgresql|postgres|cockroachdb)$/.test(provider))
      faults.push(
        finding('BAD_LAYOUT', `${folder.shown}migration_lock.toml`, {
          reason: `the files are for ${provider}, not for PostgreSQL`,
        }),
      )
    return { migrations, faults }
  },
} satisfies Layout
