import { defineCommand } from '../command.js'
import { doctor } from '../operate/doctor.js'

export default defineCommand({
  summary: 'check the database and the files without writing, and show the fix for what is missing',
  example: 'rethread doctor --database-url postgres://app@db.example.com/chat',
  run: ({ ctx, project, trackName, sources, consent }) =>
    doctor(ctx, project(), { named: trackName, sources, consent }),
})
