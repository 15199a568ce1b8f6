// Sends a picture with tus-js-client, loses its memory after the first piece, and sends it again.
//
//     NODE_PATH=… node tus_upload.cjs '{"endpoint": …, "key": …, "path": …, "metadata": {…}}'
//
// Prints what happened as one line of JSON.
const fs = require('fs')
const tus = require('tus-js-client')

const { endpoint, key, path, metadata } = JSON.parse(process.argv[2])
const picture = fs.readFileSync(path)
const happened = { places: [], requests: [] }

function send({ until }) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(picture, {
      endpoint,
      metadata,
      headers: { Authorization: `Bearer ${key}` },
      chunkSize: Math.ceil(picture.length / 4),
      retryDelays: [0, 100, 100],
      onAfterResponse: (request, response) =>
        happened.requests.push(`${request.getMethod()} ${response.getStatus()}`),
      onChunkComplete: (size, accepted) => {
        if (accepted >= until) upload.abort().then(() => resolve(upload.url))
      },
      onSuccess: () => resolve(upload.url),
      onError: reject,
    })
    upload.start()
  })
}

async function main() {
  happened.places.push(await send({ until: 1 }))
  happened.places.push(await send({ until: Infinity }))
  // Once more, as a microscope does that was switched off before it noted the success.
  happened.places.push(await send({ until: Infinity }))
  console.log(JSON.stringify(happened))
}

main().catch((error) => {
  console.error(String(error))
  process.exit(1)
})
