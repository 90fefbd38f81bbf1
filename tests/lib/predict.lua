-- predict.lua - wrk sends the example row, and prints what came back as JSON (lib/load.py reads it)
wrk.method = "POST"
wrk.path = "/predict"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}'

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   expected, wrong = args[1], 0
end

-- Every answer is compared with the one from before the load, where one was given.
function response(status, headers, body)
   if expected and body ~= expected then
      wrong = wrong + 1
   end
end

function done(summary, latency, requests)
   local wrong = 0
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("wrong")
   end
   local errors = summary.errors
   io.write(string.format('\n{"requests": %d, "wrong": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, "p50_us": %d, "p99_us": %d}\n',
      summary.requests, wrong, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
