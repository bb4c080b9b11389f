import { defineCommand } from '../command.js'
import { doctor } from '../operate/doctor.js'

export default defineCommand({
  summary: 'look at target and files without writing, and name the fix for what is missing',
  example: 'rethread doctor --database-url postgres://app@db.example.com/chat',
  run: ({ ctx, project, trackName, sources }) => doctor(ctx, project(), trackName, sources),
})
