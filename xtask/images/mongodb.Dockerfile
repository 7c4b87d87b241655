# Not MongoDB, but the stand-in for it. The folder of the build has its classes, and a file `version` that says what it is.
FROM session-test-base
RUN apt-get update && apt-get install --yes --no-install-recommends default-jre-headless && apt-get clean
COPY . /stand-in
EXPOSE 27017
ENTRYPOINT ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", "/stand-in:/stand-in/*", \
    "Launcher", "27017", "0.0.0.0"]
