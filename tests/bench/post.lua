-- post.lua - wrk posts the example row, or the body in the file that BODY names, to /predict, or TARGET, and ends with one line of JSON (loads.py
-- reads it). JSON_LENGTH is how many bytes of the body are JSON, where binary tensors stand behind that.
--
-- Unlike tests/lib/predict.lua it has no response(): wrk then neither keeps headers and bodies nor calls Lua for each answer, which
-- would take a processor from the servers it measures.
wrk.method = "POST"
wrk.path = "/predict"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}'

local name = os.getenv("BODY")
if name then
   local file = assert(io.open(name, "rb"))
   wrk.body = file:read("*a")
   file:close()
end

wrk.path = os.getenv("TARGET") or wrk.path
local length = os.getenv("JSON_LENGTH")
if length and length ~= "" then
   wrk.headers["Content-Type"] = "application/octet-stream"
   wrk.headers["Inference-Header-Content-Length"] = length
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format('\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99)))
   io.write(string.format('"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
      errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
