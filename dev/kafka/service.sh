# shellcheck shell=bash disable=SC2034 # dev/process.sh reads the settings by their names
# Sourced: Apache Kafka, broker and controller in one process (KRaft). See dev/process.sh for
# what these functions are for.

KAFKA_PROGRAM=java
KAFKA_START_SECONDS=90
KAFKA_STOP_SIGNAL=TERM

KAFKA_OLDEST_JAVA=17

# The first Java that is new enough.
kafka_java() {
    local java version
    for java in "${JAVA_HOME:-}/bin/java" "$(command -v java)" /usr/lib/jvm/*/bin/java; do
        [[ -x $java ]] || continue
        version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        if (( ${version:-0} >= KAFKA_OLDEST_JAVA )); then
            echo "$java"
            return
        fi
    done
    return 1
}

kafka_packages() {
    kafka_java >/dev/null || echo 'openjdk-21-jre-headless|openjdk-17-jre-headless|default-jre-headless'
    kafka_has_libraries || command -v mvn >/dev/null || echo maven
}

kafka_ports() {
    local port=${ONRUSH_KAFKA_PORT:-21092}
    echo "$port ${ONRUSH_KAFKA_CONTROLLER_PORT:-$(( port + 1 ))}"
}

kafka_mark() {
    echo "$(home_of kafka)/server.properties"
}

# The pom is kept with what was downloaded for it, which tells whether that is still right.
kafka_has_libraries() {
    cmp -s "$DEV/kafka/pom.xml" "$(home_of kafka)/libs/pom.xml"
}

kafka_download() {
    local home version
    home=$(home_of kafka)
    version=$(sed -n 's/.*<kafka.version>\(.*\)<.*/\1/p' "$DEV/kafka/pom.xml")
    rm -rf "$home/libs" "$home/libs.new"
    with_progress "kafka: downloading the broker, version $version, through Maven" "$home/maven.log" \
        timeout 900 mvn --quiet --batch-mode --file "$DEV/kafka/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies -DoutputDirectory="$home/libs.new" ||
        give_up kafka "could not be downloaded"
    cp "$DEV/kafka/pom.xml" "$home/libs.new/pom.xml"
    mv "$home/libs.new" "$home/libs"
}

kafka_launch() {
    local home java ports
    home=$(home_of kafka)
    java=$(kafka_java) || die "kafka needs Java $KAFKA_OLDEST_JAVA or newer, and there is none"
    kafka_has_libraries || kafka_download
    read -ra ports <<<"$(kafka_ports)"
    render "$DEV/kafka/server.properties" "$home/server.properties" \
        "PORT=${ports[0]}" "CONTROLLER_PORT=${ports[1]}" "DATA=$home/data"
    # A format that was interrupted leaves no meta.properties, and may be repeated.
    [[ -e $home/data/meta.properties ]] || kafka_format "$home" "$java"
    # Collector and pause goal as in Kafka's own start script.
    daemon kafka "$home/console.log" "$java" -cp "$home/libs/*" -Xms256m -Xmx768m \
        -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError -XX:ErrorFile="$home/jvm-error.log" \
        -Dlog4j2.configurationFile="$DEV/kafka/log4j2.properties" -Donrush.log="$home/kafka.log" \
        kafka.Kafka "$home/server.properties"
}

kafka_format() {
    local home=$1 java=$2 cluster
    say "kafka: formatting $home/data"
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'pq' | tr -d '=')
    "$java" -cp "$home/libs/*" -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile="$DEV/kafka/log4j2.properties" -Donrush.log="$home/kafka.log" \
        kafka.tools.StorageTool format --config "$home/server.properties" --cluster-id "$cluster" \
        </dev/null >>"$home/console.log" 2>&1 || give_up kafka "could not format its storage"
}

# Asks for the metadata of no topic (Metadata, version 1): the answer lists the brokers that are
# ready to serve, which a Java client would take seconds to learn.
kafka_answers() {
    local request='\0\0\0\016\0\003\0\001\0\0\0\001\377\377\0\0\0\0' brokers
    brokers=$({
        exec 3<>"/dev/tcp/127.0.0.1/$(port_of kafka)" || exit
        printf '%b' "$request" >&3
        # The length, the correlation id and the number of brokers, four bytes each.
        timeout 2 head -c 12 <&3 | od -An -v -j 8 -t d4 --endian=big
    } 2>/dev/null) || return
    (( brokers > 0 ))
}

kafka_url() {
    echo "127.0.0.1:$(port_of kafka)"
}
